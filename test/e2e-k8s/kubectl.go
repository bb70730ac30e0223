package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The namespaces: the overlay's, and those that may send, may scrape, and may do neither.
const (
	namespace = "webhook-bridge"
	senders   = "webhook-bridge-e2e-senders"
	scrapers  = "webhook-bridge-e2e-scrapers"
	strangers = "webhook-bridge-e2e-strangers"
)

func say(format string, args ...any) {
	fmt.Printf("%s %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// kubectl runs kubectl and returns what it prints.
func kubectl(ctx context.Context, input string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "kubectl", args...)
	c.Stdin = strings.NewReader(input)
	var out, words bytes.Buffer
	c.Stdout, c.Stderr = &out, &words
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(words.String()))
	}
	return out.String(), nil
}

// steps runs kubectl once for each list of arguments, in the overlay's namespace.
func steps(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if _, err := kubectl(ctx, "", append([]string{"-n", namespace}, strings.Fields(line)...)...); err != nil {
			return err
		}
	}
	return nil
}

// pod is the needed part of a pod.
type pod struct {
	name, ip, node string
	ready, leaving bool
	restarts       int
}

// pods returns the pods with a label, terminating ones included.
func pods(ctx context.Context, label string) ([]pod, error) {
	out, err := kubectl(ctx, "", "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name="+label, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name              string
				DeletionTimestamp *time.Time
			}
			Spec   struct{ NodeName string }
			Status struct {
				PodIP             string
				Conditions        []struct{ Type, Status string }
				ContainerStatuses []struct{ RestartCount int }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("reading pods: %w", err)
	}
	var all []pod
	for _, i := range list.Items {
		p := pod{name: i.Metadata.Name, ip: i.Status.PodIP, node: i.Spec.NodeName, leaving: i.Metadata.DeletionTimestamp != nil}
		for _, c := range i.Status.Conditions {
			p.ready = p.ready || c.Type == "Ready" && c.Status == "True"
		}
		for _, c := range i.Status.ContainerStatuses {
			p.restarts += c.RestartCount
		}
		all = append(all, p)
	}
	return all, nil
}

// until waits until a condition holds.
func until(ctx context.Context, what string, limit time.Duration, holds func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		ok, err := holds()
		if ok && err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s: %w", limit, what, err)
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// settled waits until there are so many bridges, all ready and none going.
func settled(ctx context.Context, n int) error {
	return until(ctx, fmt.Sprintf("%d bridges, and all ready", n), 5*time.Minute, func() (bool, error) {
		all, err := pods(ctx, "webhook-bridge")
		for _, p := range all {
			if !p.ready || p.leaving {
				return false, err
			}
		}
		return len(all) == n, err
	})
}

// gone waits until a pod is deleted.
func gone(ctx context.Context, name string) error {
	_, err := kubectl(ctx, "", "-n", namespace, "wait", "--for=delete", "pod/"+name, "--timeout=5m")
	return err
}

// nats starts or stops NATS.
func nats(ctx context.Context, replicas int) error {
	say("  NATS: %d", replicas)
	if err := steps(ctx, fmt.Sprintf("scale statefulset/nats --replicas=%d", replicas)); err != nil {
		return err
	}
	if replicas == 0 {
		return gone(ctx, "nats-0")
	}
	return steps(ctx, "rollout status statefulset/nats --timeout=5m")
}

// describe prints the cluster's state after a failure.
func (w *world) describe(ctx context.Context) {
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"-n", namespace, "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", namespace, "logs", "-l", "app.kubernetes.io/name=webhook-bridge", "--prefix", "--tail=30"},
		{"-n", senders, "logs", "-l", "app=sender", "--tail=20"},
	} {
		out, err := kubectl(ctx, "", args...)
		fmt.Fprintf(os.Stderr, "--- kubectl %s\n%s%v\n", strings.Join(args, " "), out, err)
	}
}
