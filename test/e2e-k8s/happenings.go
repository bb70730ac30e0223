package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// What happens to pods. Each function waits until all are ready again.

// rollout replaces every pod by one of another version.
func rollout(workload, image string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := steps(ctx, "set image "+workload+" bridge="+image, "rollout status "+workload+" --timeout=10m"); err != nil {
			return err
		}
		return settled(ctx, 2)
	}
}

// eachPod calls a function for each current pod, one after the other.
func eachPod(ctx context.Context, do func(context.Context, pod) error) error {
	all, err := pods(ctx, "webhook-bridge")
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := do(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// deletePods deletes each pod, with its grace period.
func deletePods(ctx context.Context) error {
	return eachPod(ctx, func(ctx context.Context, p pod) error {
		if err := steps(ctx, "delete pod "+p.name); err != nil {
			return err
		}
		return settled(ctx, 2)
	})
}

// evict asks for a pod's eviction, as a drain of its node does.
func evict(ctx context.Context, name string) error {
	_, err := kubectl(ctx, `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"`+name+`","namespace":"`+namespace+`"}}`,
		"create", "--raw", "/api/v1/namespaces/"+namespace+"/pods/"+name+"/eviction", "-f", "-")
	return err
}

// evictAll evicts each pod. While one is gone, the budget must protect the other.
func evictAll(ctx context.Context) error {
	all, err := pods(ctx, "webhook-bridge")
	if err != nil {
		return err
	}
	if err := evict(ctx, all[0].name); err != nil {
		return err
	}
	if err := evict(ctx, all[1].name); err == nil || !strings.Contains(err.Error(), "disruption budget") {
		return fmt.Errorf("the budget doesn't protect the second pod: %w", cmp.Or(err, errAdmitted))
	}
	if err := settled(ctx, 2); err != nil {
		return err
	}
	if err := evict(ctx, all[1].name); err != nil {
		return err
	}
	return settled(ctx, 2)
}

// scale sets several numbers of bridges in turn.
func scale(workload string, numbers ...int) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, n := range numbers {
			if err := steps(ctx, fmt.Sprintf("scale %s --replicas=%d", workload, n)); err != nil {
				return err
			}
			if err := settled(ctx, n); err != nil {
				return err
			}
		}
		return nil
	}
}

// killNATS kills NATS, and then removes it for a while.
func killNATS(ctx context.Context) error {
	if err := steps(ctx, "delete pod nats-0 --grace-period=0 --force", "rollout status statefulset/nats --timeout=5m"); err != nil {
		return err
	}
	if err := nats(ctx, 0); err != nil {
		return err
	}
	if err := sleep(ctx, 15*time.Second); err != nil {
		return err
	}
	return nats(ctx, 1)
}

// rotate changes Flock's secret as docs/kubernetes.md says: the new one in front of the old one, then
// the vendor changes, then the old one goes.
func (w *world) rotate(ctx context.Context, workload, oldKey, newKey string) (how string, err error) {
	if err := patchSecret(ctx, newKey, oldKey); err != nil {
		return "", err
	}
	how, err = w.takes(ctx, workload, newKey, "200")
	if err != nil {
		return "", err
	}
	if _, err := w.sender.exec(ctx, "key", "flock", newKey); err != nil {
		return "", err
	}
	if err := sleep(ctx, 5*time.Second); err != nil {
		return "", err
	}
	if err := patchSecret(ctx, newKey); err != nil {
		return "", err
	}
	_, err = w.takes(ctx, workload, oldKey, "401")
	return how, err
}

func patchSecret(ctx context.Context, keys ...string) error {
	_, err := kubectl(ctx, "", "-n", namespace, "patch", "secret", "webhook-bridge", "-p", `{"stringData":{"flock":"`+strings.Join(keys, `\n`)+`"}}`)
	return err
}

// takes waits until every bridge answers deliveries signed with a key with that status: by itself
// once the kubelet has written the file, or after a restart.
func (w *world) takes(ctx context.Context, workload, key, status string) (how string, err error) {
	all := func() (bool, error) {
		var last error
		each := eachPod(ctx, func(ctx context.Context, p pod) error {
			out, err := w.sender.exec(ctx, "try", "http://"+p.ip+":8080", "flock", key)
			if err == nil && !strings.HasPrefix(out, status) {
				err = fmt.Errorf("%s answers %s", p.name, out)
			}
			last = err
			return err
		})
		return each == nil, last
	}
	if until(ctx, "every bridge has read the file", w.reload, all) == nil {
		return "the bridges have read the file again by themselves", nil
	}
	if err := steps(ctx, "rollout restart "+workload, "rollout status "+workload+" --timeout=10m"); err != nil {
		return "", err
	}
	if err := settled(ctx, 2); err != nil {
		return "", err
	}
	return "after a rolling restart", until(ctx, "every bridge takes the new secret", time.Minute, all)
}
