package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// What an operator does, as docs/kubernetes.md describes it.

// unchanged checks that the cluster has what was applied, so that tools that compare find no drift.
func (w *world) unchanged(ctx context.Context, overlay, name string) error {
	out, err := kubectl(ctx, "", "diff", "-k", overlay)
	if err != nil {
		return fmt.Errorf("kubectl diff of %s isn't clean: %w: %s", name, err, out)
	}
	w.note("kubectl diff of "+name, "clean")
	return nil
}

// wrongVariable rolls out a mistake. The old pods stay, and the new one's status has the reason in JSON.
func wrongVariable(ctx context.Context) error {
	if err := steps(ctx, "set env deployment/webhook-bridge SHUTDOWN_DELAY=15"); err != nil {
		return err
	}
	last := ""
	err := until(ctx, "the pod's status says why it doesn't start", 2*time.Minute, func() (bool, error) {
		out, err := kubectl(ctx, "", "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name=webhook-bridge", "-o",
			"jsonpath={range .items[*]}{.status.containerStatuses[0].state.terminated.message}{.status.containerStatuses[0].lastState.terminated.message}{end}")
		last = out
		var line struct{ Level, Error string }
		for text := range strings.Lines(out) {
			if json.Unmarshal([]byte(text), &line) == nil && line.Level == "error" && strings.HasPrefix(line.Error, "SHUTDOWN_DELAY: ") {
				return true, err
			}
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("%w: %q", err, last)
	}
	if err := steps(ctx, "set env deployment/webhook-bridge SHUTDOWN_DELAY-", "rollout status deployment/webhook-bridge --timeout=5m"); err != nil {
		return err
	}
	return settled(ctx, 2)
}

// autoscale adds hpa to the running deployment, as its kustomization describes, checks that there
// are never fewer than two pods, and removes it.
func (w *world) autoscale(ctx context.Context) error {
	applied, err := kubectl(ctx, "", "-n", namespace, "apply", "view-last-applied", "deployment/webhook-bridge")
	if err != nil {
		return err
	}
	var without []string
	for line := range strings.Lines(applied) {
		if !strings.HasPrefix(line, "  replicas:") {
			without = append(without, line)
		}
	}
	if _, err := kubectl(ctx, strings.Join(without, ""), "-n", namespace, "apply", "set-last-applied", "-f", "-"); err != nil {
		return err
	}
	dir, err := with([]string{"hpa"})
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := kubectl(ctx, "", "apply", "-k", dir); err != nil {
		return err
	}
	least := 2
	for range 40 {
		out, err := kubectl(ctx, "", "-n", namespace, "get", "deployment/webhook-bridge", "-o", "jsonpath={.spec.replicas} {.status.readyReplicas}")
		if err != nil {
			return err
		}
		var wanted, ready int
		if _, err := fmt.Sscan(out, &wanted, &ready); err != nil {
			return fmt.Errorf("reading the numbers %q: %w", out, err)
		}
		least = min(least, wanted, ready)
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	if least < 2 {
		return fmt.Errorf("there were only %d", least)
	}
	if err := w.unchanged(ctx, dir, "overlays/dev with hpa"); err != nil {
		return err
	}
	if err := w.scalesOut(ctx); err != nil {
		return err
	}
	if err := steps(ctx, "delete hpa/webhook-bridge"); err != nil {
		return err
	}
	if _, err := kubectl(ctx, "", "apply", "-k", "deploy/k8s/overlays/dev"); err != nil {
		return err
	}
	return settled(ctx, 2)
}

// scalesOut checks that the autoscaler acts, with a target below this small load.
func (w *world) scalesOut(ctx context.Context) error {
	const target = `{"spec":{"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":2}}}]}}`
	if err := steps(ctx, "patch hpa/webhook-bridge -p "+target); err != nil {
		return err
	}
	err := until(ctx, "more than two", 3*time.Minute, func() (bool, error) {
		all, err := pods(ctx, "webhook-bridge")
		return len(all) > 2, err
	})
	if err != nil {
		return err
	}
	w.note("hpa, its target lowered to 2 %", "scales out under the load")
	return nil
}

// durable moves from the Deployment to the StatefulSet: both run, then the Deployment is deleted
// and its pods deliver their spools. NATS is away for a while, so that the spools have events.
func (w *world) durable(ctx context.Context) error {
	dir, err := with([]string{"durable-spool"})
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := nats(ctx, 0); err != nil {
		return err
	}
	if err := sleep(ctx, 10*time.Second); err != nil {
		return err
	}
	old, err := pods(ctx, "webhook-bridge")
	if err != nil {
		return err
	}
	ends := w.lastWords(ctx, old[0].name)
	if _, err := kubectl(ctx, "", "apply", "-k", dir); err != nil { // NATS is back with it
		return err
	}
	if err := steps(ctx, "rollout status statefulset/webhook-bridge --timeout=5m", "delete deployment/webhook-bridge"); err != nil {
		return err
	}
	if err := settled(ctx, 2); err != nil {
		return err
	}
	if n := <-ends; n.left > 0 {
		return fmt.Errorf("%d events are left in the spool of the Deployment's pod", n.left)
	}
	return w.unchanged(ctx, dir, "overlays/dev with durable-spool")
}

// denyAll is the policy of a namespace that allows nothing by itself.
const denyAll = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: e2e-deny-all, namespace: ` + namespace + `}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
`

// drain scales in while NATS is away, lets the Job deliver the volume that is left, and deletes both.
// The namespace denies what no policy allows, as many do.
func (w *world) drain(ctx context.Context) error {
	if err := w.away(ctx, func(ctx context.Context) error {
		if err := steps(ctx, "scale statefulset/webhook-bridge --replicas=1"); err != nil {
			return err
		}
		return settled(ctx, 1)
	}); err != nil {
		return err
	}
	text, err := os.ReadFile("deploy/k8s/drain-job.yaml")
	if err != nil {
		return err
	}
	job := strings.NewReplacer("data-webhook-bridge-2", "data-webhook-bridge-1", "registry.example.com/webhook-bridge:v0.1.0", secondImage).Replace(string(text))
	if _, err := kubectl(ctx, denyAll+job, "apply", "-f", "-"); err != nil {
		return err
	}
	if err := steps(ctx, "wait --for=condition=Complete job/data-webhook-bridge-1 --timeout=5m"); err != nil {
		return err
	}
	out, err := kubectl(ctx, "", "-n", namespace, "logs", "job/data-webhook-bridge-1")
	if err != nil {
		return err
	}
	w.note("the Job that drains a volume", strings.Join(strings.Fields(out), " "))
	return steps(ctx, "delete --timeout=1m job,pvc data-webhook-bridge-1")
}

const fakeNode = "webhook-bridge-e2e-node"

// node is a node without a machine. The scheduler uses it until it has been silent for long.
const node = `{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + fakeNode + `","labels":{"kubernetes.io/hostname":"` + fakeNode + `","kubernetes.io/os":"linux"}}}`

const nodeStatus = `{"status":{"capacity":{"cpu":"8","memory":"32Gi","pods":"110","ephemeral-storage":"100Gi"},` +
	`"allocatable":{"cpu":"8","memory":"32Gi","pods":"110","ephemeral-storage":"100Gi"},` +
	`"conditions":[{"type":"Ready","status":"True","reason":"Fake","message":"","lastHeartbeatTime":"%[1]s","lastTransitionTime":"%[1]s"}]}}`

// productionSecrets are those that the overlay wants.
const productionSecrets = `
apiVersion: v1
kind: Secret
metadata: {name: webhook-bridge, namespace: ` + namespace + `}
stringData: {flock: a-secret-of-flock, frigade: a-secret-of-frigade}
---
apiVersion: v1
kind: Secret
metadata: {name: webhook-bridge-nats, namespace: ` + namespace + `}
stringData: {password: a-password, ca.crt: ""}
`

// production applies overlays/production. With too few nodes pods must wait.
func production(ctx context.Context, w *world) error {
	if err := w.clear(ctx); err != nil {
		return err
	}
	dir, err := over("overlays/production", "images: [{name: registry.example.com/webhook-bridge, newName: webhook-bridge, newTag: dev}]\n")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := kubectl(ctx, "", "apply", "-k", dir); err != nil {
		return err
	}
	if _, err := kubectl(ctx, productionSecrets, "apply", "-f", "-"); err != nil {
		return err
	}
	if err := w.unchanged(ctx, dir, "overlays/production"); err != nil {
		return err
	}
	nodes, err := kubectl(ctx, "", "get", "nodes", "-o", "name")
	if err != nil {
		return err
	}
	have := len(strings.Fields(nodes))
	if err := w.placed(ctx, min(have, 3)); err != nil || have >= 3 {
		return err
	}
	defer func() {
		_, _ = kubectl(context.WithoutCancel(ctx), "", "delete", "node", fakeNode, "--ignore-not-found")
	}()
	if _, err := kubectl(ctx, node, "create", "-f", "-"); err != nil {
		return err
	}
	status := fmt.Sprintf(nodeStatus, time.Now().UTC().Format(time.RFC3339))
	if _, err := kubectl(ctx, "", "patch", "node", fakeNode, "--subresource=status", "-p", status); err != nil {
		return err
	}
	return w.placed(ctx, have+1)
}

var errTogether = errors.New("two bridges are on one node")

// placed waits until that many of the three bridges have a node, each another one. A pod whose
// volume isn't there yet has its node in the claim.
func (w *world) placed(ctx context.Context, n int) error {
	if err := sleep(ctx, 5*time.Second); err != nil { // the scheduler has seen them all
		return err
	}
	on := make(map[string]int)
	err := until(ctx, fmt.Sprintf("%d bridges have a node", n), 2*time.Minute, func() (bool, error) {
		clear(on)
		for i := range 3 {
			out, err := kubectl(ctx, "", "-n", namespace, "get", fmt.Sprintf("pod/webhook-bridge-%d", i), fmt.Sprintf("pvc/data-webhook-bridge-%d", i),
				"-o", `jsonpath={.items[0].spec.nodeName} {.items[1].metadata.annotations.volume\.kubernetes\.io/selected-node}`)
			if err != nil {
				return false, err
			}
			if names := strings.Fields(out); len(names) > 0 {
				on[names[0]]++
			}
		}
		return len(on) == n, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %v", err, on)
	}
	for _, together := range on {
		if together > 1 {
			return fmt.Errorf("%w: %v", errTogether, on)
		}
	}
	w.note(fmt.Sprintf("three instances, %d nodes", n), fmt.Sprintf("%d have a node, each its own; %d wait", n, 3-n))
	return nil
}
