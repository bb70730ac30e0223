package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// words are a pod's last log lines about its spool.
type words struct{ drained, left int }

// lastWords follows a pod's log to its end.
func (w *world) lastWords(ctx context.Context, name string) <-chan words {
	said := make(chan words, 1)
	c := exec.CommandContext(ctx, "kubectl", "-n", namespace, "logs", "-f", "--tail=1", name)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		said <- words{}
		return said
	}
	go func() {
		var n words
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var l struct {
				Message string
				Events  int
			}
			_ = json.Unmarshal(lines.Bytes(), &l)
			switch {
			case strings.HasPrefix(l.Message, "waiting for the spool to be delivered"):
				n.drained = l.Events
			case strings.HasPrefix(l.Message, "events are left in the spool"):
				n.left = l.Events
			}
		}
		_ = c.Wait()
		said <- n
	}()
	return said
}

var errAdmitted = errors.New("it was admitted")

// admission checks that the namespace enforces `restricted`, and that the pods run in it.
func (w *world) admission(ctx context.Context) error {
	_, err := kubectl(ctx, "", "-n", namespace, "run", "forbidden", "--image="+senderImage, "--restart=Never")
	if err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
		return fmt.Errorf("an ordinary pod was not refused for what it is: %w", cmp.Or(err, errAdmitted))
	}
	all, err := pods(ctx, "webhook-bridge")
	if err != nil {
		return err
	}
	w.note("the namespace enforces Pod Security `restricted`", fmt.Sprintf("%d bridges and NATS are admitted, an ordinary pod is refused", len(all)))
	return nil
}

// prober is a pod that tests the network policies. It has a bridge's label and is never ready, so
// that it gets no delivery.
const prober = `
apiVersion: v1
kind: Pod
metadata: {name: prober, namespace: %s, labels: {%s}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: sender
      image: ` + senderImage + `
      args: [run]
      env: [{name: RATE, value: "1"}, {name: URL, value: "http://127.0.0.1:1"}, {name: KEY_FLOCK, value: x}, {name: KEY_FRIGADE, value: x}]
      readinessProbe: {exec: {command: [/sender, never]}}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`

// policies tests which pods reach which ports.
func (w *world) policies(ctx context.Context) error {
	all, err := pods(ctx, "webhook-bridge")
	if err != nil {
		return err
	}
	service, err := kubectl(ctx, "", "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
	if err != nil {
		return err
	}
	public, admin := all[0].ip+":8080", all[0].ip+":9090"
	natsAddress, bridgeService := "nats."+namespace+":4222", "webhook-bridge."+namespace+":80"
	for _, from := range []struct {
		who, namespace, labels string
		open, closed           []string
	}{
		{"who may send", senders, "app: prober", []string{public, bridgeService}, []string{admin}},
		{"who may scrape", scrapers, "app: prober", []string{admin}, []string{public, bridgeService, natsAddress}},
		{"a stranger", strangers, "app: prober", nil, []string{public, bridgeService, admin, natsAddress}},
		{"a bridge", namespace, "app.kubernetes.io/name: webhook-bridge", []string{natsAddress}, []string{public, admin, service}},
	} {
		if _, err := kubectl(ctx, fmt.Sprintf(prober, from.namespace, from.labels), "apply", "-f", "-"); err != nil {
			return err
		}
		// The rules for a new pod take effect a moment after its start, so open ports are waited
		// for first.
		last := ""
		err := until(ctx, from.who+" reaches what it may, and nothing else", time.Minute, func() (bool, error) {
			out, err := kubectl(ctx, "", append([]string{"-n", from.namespace, "exec", "prober", "--", "/sender", "dial"}, append(from.open, from.closed...)...)...)
			last = out
			for _, a := range from.open {
				if !strings.Contains(out, a+" open\n") {
					return false, err
				}
			}
			for _, a := range from.closed {
				if !strings.Contains(out, a+" closed\n") {
					return false, err
				}
			}
			return true, err
		})
		if err != nil {
			return fmt.Errorf("%w: %s", err, last)
		}
		if _, err := kubectl(ctx, "", "-n", from.namespace, "delete", "pod", "prober"); err != nil {
			return err
		}
		w.note("NetworkPolicies: "+from.who, fmt.Sprintf("reaches %d of %d", len(from.open), len(from.open)+len(from.closed)))
	}
	return nil
}
