package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// chart is the chart, beside the NATS of overlays/dev.
func chart(ctx context.Context, w *world) error {
	if err := w.clear(ctx); err != nil {
		return err
	}
	if err := w.apply(ctx); err != nil {
		return err
	}
	// Helm doesn't take over objects that it hasn't made.
	if err := steps(ctx,
		"delete deployment,service,serviceaccount,poddisruptionbudget,networkpolicy -l app.kubernetes.io/name=webhook-bridge",
		"wait --for=delete pod -l app.kubernetes.io/name=webhook-bridge --timeout=3m",
	); err != nil {
		return err
	}
	if err := upgrade(firstImage)(ctx); err != nil {
		return err
	}
	if err := w.send(ctx, "chart", firstKey, 3*time.Minute); err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"upgraded to a new version", upgrade(secondImage)},
		{"rolled back", rollback(1)},
		{"made durable: Deployment to StatefulSet", upgrade(firstImage, "spool.durable=true")},
		{"durable, upgraded to a new version", upgrade(secondImage, "spool.durable=true")},
		{"durable, rolled back", rollback(4)},
	} {
		if err := w.step(ctx, s.name, none, s.do); err != nil {
			return err
		}
	}
	return w.kept(ctx)
}

// upgrade installs the chart or upgrades it, and waits until all pods are the new ones.
func upgrade(image string, values ...string) func(context.Context) error {
	repository, tag, _ := strings.Cut(image, ":")
	values = append(values, "secretName=webhook-bridge", "image.repository="+repository, "image.tag="+tag)
	return func(ctx context.Context) error {
		if err := helm(ctx, "upgrade", "--install", "--wait", "--timeout=5m", "webhook-bridge", "deploy/helm", "--set", strings.Join(values, ",")); err != nil {
			return err
		}
		return settled(ctx, 2)
	}
}

func rollback(revision int) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := helm(ctx, "rollback", "--wait", "--timeout=5m", "webhook-bridge", fmt.Sprint(revision)); err != nil {
			return err
		}
		return settled(ctx, 2)
	}
}

// helm runs the version that tools/helm/go.mod pins.
func helm(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, ".ci/tool", append([]string{"helm", "--namespace", namespace}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
