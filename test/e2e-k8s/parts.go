package main

import (
	"context"
	"fmt"
	"time"
)

// emptyDir is overlays/dev as it is.
func emptyDir(ctx context.Context, w *world) error {
	const workload = "deployment/webhook-bridge"
	if err := w.apply(ctx); err != nil {
		return err
	}
	if err := w.admission(ctx); err != nil {
		return err
	}
	if err := w.send(ctx, "first", firstKey, 3*time.Minute); err != nil {
		return err
	}
	if err := w.policies(ctx); err != nil {
		return err
	}
	rotated := ""
	for _, s := range []struct {
		name string
		may  allowed
		do   func(context.Context) error
	}{
		{"nothing", none, func(ctx context.Context) error { return sleep(ctx, 15*time.Second) }},
		{"hpa is added, never fewer than two", none, w.autoscale},
		{"a rollout with a wrong variable, undone", none, wrongVariable},
		{"rollout of a new version", none, rollout(workload, secondImage)},
		{"each pod is deleted", none, deletePods},
		{"each pod is evicted; the budget protects the other", none, evictAll},
		{"scaled 2 → 1 → 4 → 1 → 2", none, scale(workload, 1, 4, 1, 2)},
		{"NATS is killed, and then away for 15 s", none, killNATS},
		{"Flock's secret is rotated", none, func(ctx context.Context) (err error) {
			rotated, err = w.rotate(ctx, workload, firstKey, "another-flock")
			return err
		}},
		{"NATS is away, a pod is deleted, NATS is back in time", none, w.backInTime},
		{"a pod is killed", unanswered, func(ctx context.Context) error { return killPod(ctx, true) }},
	} {
		if err := w.step(ctx, s.name, s.may, s.do); err != nil {
			return err
		}
	}
	w.note("how the secret was rotated", rotated)
	if err := w.kept(ctx); err != nil {
		return err
	}
	return w.notInTime(ctx)
}

// durableSpool is overlays/dev, to which a volume for each instance is added.
func durableSpool(ctx context.Context, w *world) error {
	const workload = "statefulset/webhook-bridge"
	if err := w.clear(ctx); err != nil {
		return err
	}
	if err := w.apply(ctx); err != nil {
		return err
	}
	if err := w.send(ctx, "second", firstKey, 3*time.Minute); err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		may  allowed
		do   func(context.Context) error
	}{
		{"NATS was away; from the Deployment to the StatefulSet", none, w.durable},
		{"rollout of a new version", none, rollout(workload, secondImage)},
		{"each pod is deleted", none, deletePods},
		{"each pod is evicted; the budget protects the other", none, evictAll},
		{"scaled 2 → 4 → 2", none, scale(workload, 4, 2)},
		{"NATS is killed, and then away for 15 s", none, killNATS},
		{"NATS is away, a pod is deleted and takes its time; it finds its volume again", none, func(ctx context.Context) error {
			return w.away(ctx, deletePods)
		}},
		{"NATS is away, a pod is killed; it finds its volume again", unanswered, func(ctx context.Context) error {
			return w.away(ctx, func(ctx context.Context) error { return killPod(ctx, true) })
		}},
		{"NATS is away, scaled 2 → 1 → 2; the volume was kept", none, func(ctx context.Context) error {
			return w.away(ctx, scale(workload, 1, 2))
		}},
		{"NATS is away, scaled 2 → 1; a Job delivers what is in the volume", none, w.drain},
	} {
		if err := w.step(ctx, s.name, s.may, s.do); err != nil {
			return err
		}
	}
	return w.kept(ctx)
}

// away calls a function while NATS is away.
func (w *world) away(ctx context.Context, do func(context.Context) error) error {
	if err := nats(ctx, 0); err != nil {
		return err
	}
	if err := sleep(ctx, 10*time.Second); err != nil {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	return nats(ctx, 1)
}

// backInTime deletes a pod whose spool isn't empty; NATS comes back within its grace period.
func (w *world) backInTime(ctx context.Context) error {
	if err := nats(ctx, 0); err != nil {
		return err
	}
	if err := sleep(ctx, 10*time.Second); err != nil {
		return err
	}
	all, err := pods(ctx, "webhook-bridge")
	if err != nil {
		return err
	}
	left := w.lastWords(ctx, all[0].name)
	if err := steps(ctx, "delete pod "+all[0].name+" --wait=false"); err != nil {
		return err
	}
	if err := sleep(ctx, 30*time.Second); err != nil {
		return err
	}
	if err := nats(ctx, 1); err != nil {
		return err
	}
	if err := gone(ctx, all[0].name); err != nil {
		return err
	}
	n := <-left
	if n.left != 0 {
		return fmt.Errorf("%d events are left in the spool of the pod that has gone", n.left)
	}
	w.note("its spool, when it had stopped to listen", fmt.Sprintf("%d events still waited, none is left", n.drained))
	return settled(ctx, 2)
}

// notInTime causes the documented loss: the events in an emptyDir when its pod is deleted and NATS
// is away for longer than SPOOL_DRAIN_TIMEOUT.
func (w *world) notInTime(ctx context.Context) error {
	if err := w.send(ctx, "lost", "another-flock", 20*time.Second); err != nil {
		return err
	}
	var n words
	if err := w.step(ctx, "NATS is away for longer than SPOOL_DRAIN_TIMEOUT, a pod is deleted", none, func(ctx context.Context) error {
		return w.away(ctx, func(ctx context.Context) error {
			all, err := pods(ctx, "webhook-bridge")
			if err != nil {
				return err
			}
			left := w.lastWords(ctx, all[0].name)
			if err := steps(ctx, "delete pod "+all[0].name+" --wait=false"); err != nil {
				return err
			}
			if err := gone(ctx, all[0].name); err != nil {
				return err
			}
			n = <-left
			return nil
		})
	}); err != nil {
		return err
	}
	v, err := w.judge(ctx)
	if err != nil {
		return err
	}
	w.note("the documented loss", fmt.Sprintf("the pod's last words: %d events are left in the spool; missing: %d", n.left, v.Missing))
	if n.left == 0 || v.Missing != n.left {
		return fmt.Errorf("%d events are lost, the pod has said %d", v.Missing, n.left)
	}
	return nil
}

// killPod kills a pod.
func killPod(ctx context.Context, wait bool) error {
	all, err := pods(ctx, "webhook-bridge")
	if err != nil {
		return err
	}
	if err := steps(ctx, "delete pod "+all[0].name+" --grace-period=0 --force"); err != nil || !wait {
		return err
	}
	return settled(ctx, 2)
}
