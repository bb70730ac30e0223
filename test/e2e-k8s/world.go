package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// world is the cluster, and the results so far.
type world struct {
	rate   int
	busy   int // deliveries that may still be answered 503
	reload time.Duration
	part   string
	sender *sender
	rows   []row
}

// row is a step with its result.
type row struct {
	part, step, note string
	took             time.Duration
	answers          map[string]int
}

// around are the namespaces around the overlay's, and what lets the sender read the stream.
const around = `
apiVersion: v1
kind: Namespace
metadata: {name: ` + senders + `, labels: {webhook-bridge/may-send: "true"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: ` + scrapers + `, labels: {webhook-bridge/may-scrape: "true"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: ` + strangers + `}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: e2e-sender-reads, namespace: ` + namespace + `}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/name: nats}}
  policyTypes: [Ingress]
  ingress:
    - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + senders + `}}}]
      ports: [{port: client}]
`

// clear removes what a run makes.
func (w *world) clear(ctx context.Context) error {
	_, err := kubectl(ctx, "", "delete", "namespace", namespace, senders, scrapers, strangers, "--ignore-not-found", "--timeout=5m")
	return err
}

// apply applies overlays/dev and waits for it.
func (w *world) apply(ctx context.Context) error {
	const overlay = "deploy/k8s/overlays/dev"
	say("applying overlays/dev")
	if _, err := kubectl(ctx, "", "apply", "-k", overlay); err != nil {
		return err
	}
	if _, err := kubectl(ctx, around, "apply", "-f", "-"); err != nil {
		return err
	}
	if err := steps(ctx, "rollout status statefulset/nats --timeout=5m"); err != nil {
		return err
	}
	if err := settled(ctx, 2); err != nil {
		return err
	}
	return w.unchanged(ctx, overlay, "overlays/dev")
}

// with makes a kustomization of overlays/dev and components.
func with(components []string) (dir string, err error) {
	return over("overlays/dev", "components:\n  - DEPLOY/components/"+strings.Join(components, "\n  - DEPLOY/components/")+"\n")
}

// over makes a kustomization of an overlay and more text, in which DEPLOY is where deploy/k8s is.
func over(overlay, text string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "e2e-k8s-")
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	deploy, err := filepath.Abs("deploy/k8s")
	if err != nil {
		return "", err
	}
	up, err := filepath.Rel(dir, deploy)
	if err != nil {
		return "", err
	}
	text = "namespace: " + namespace + "\nresources:\n  - DEPLOY/" + overlay + "\n" + text
	return dir, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(strings.ReplaceAll(text, "DEPLOY", up)), 0o600)
}

// allowed lists the deliveries of a step that may fail, with the reason.
type allowed int

const (
	none       allowed = iota
	unanswered         // a process was killed: what was in flight gets no answer
)

// step changes the cluster under load, and compares the answers meanwhile with those that are
// allowed.
func (w *world) step(ctx context.Context, name string, may allowed, do func(context.Context) error) error {
	say("%s: %s", w.part, name)
	from, began := w.sender.mark(), time.Now()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took := time.Since(began)
	// Deliveries in flight are answered within seconds, and the sender prints its counts each
	// second.
	if err := sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	seen := w.sender.since(from)
	w.rows = append(w.rows, row{part: w.part, step: name, took: took, answers: seen.answers})
	if seen.total() == 0 {
		return fmt.Errorf("%s: the sender has sent nothing", name)
	}
	for _, f := range seen.failures {
		if may == unanswered && strings.HasPrefix(f.Answer, "no answer") {
			continue
		}
		if w.busy > 0 && f.Answer == "503 unavailable" {
			w.busy--
			continue
		}
		return fmt.Errorf("%s: %d deliveries failed, the first over a %s connection: %s", name, len(seen.failures), f.Over, f.Answer)
	}
	return nil
}

// note adds a row without load.
func (w *world) note(name, note string) {
	say("%s: %s: %s", w.part, name, note)
	w.rows = append(w.rows, row{part: w.part, step: name, note: note})
}

// report prints all rows.
func (w *world) report() {
	fmt.Printf("\n| | step | took | answers, or what was seen |\n|---|---|---|---|\n")
	for _, r := range w.rows {
		took, text := "", r.note
		if r.answers != nil {
			took, text = r.took.Round(time.Second).String(), counts(r.answers)
		}
		fmt.Printf("| %s | %s | %s | %s |\n", r.part, r.step, took, text)
	}
}
