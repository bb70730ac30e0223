package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// line is a line of the sender's output.
type line struct {
	Time          time.Time
	Sent          int
	Answers       map[string]int
	Event, Answer string
	Over          string
	Verdict       *verdict
}

// verdict is the result of comparing the sender's ledger with the stream; see sender/compare.go.
type verdict struct {
	Accepted, Stored, Missing, Twice, Unsent, Unknown int
	Examples                                          []string
}

// sender is the pod that sends, as its output shows it.
type sender struct {
	pod  string
	mu   sync.Mutex
	last line   // the last one with counts
	bad  []line // deliveries that were not accepted
	end  *verdict
}

const senderPod = `
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, namespace: ` + senders + `, labels: {app: sender}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  containers:
    - name: sender
      image: ` + senderImage + `
      args: [run]
      env:
        - {name: URL, value: "http://webhook-bridge.` + namespace + `"}
        - {name: NATS_URL, value: "nats://nats.` + namespace + `:4222"}
        - {name: RUN, value: %[1]s}
        - {name: RATE, value: "%[2]d"}
        - {name: SETTLES, value: %[3]s}
        - {name: KEY_FLOCK, value: %[4]s}
        - {name: KEY_FRIGADE, value: known-to-everybody-frigade}
      resources: {requests: {cpu: 50m, memory: 64Mi}}
      volumeMounts: [{name: control, mountPath: /control}]
  volumes: [{name: control, emptyDir: {}}]
`

// firstKey is overlays/dev's.
const firstKey = "known-to-everybody-flock"

// send starts a sender. When it is stopped, it waits for spooled events as long as settles says.
func (w *world) send(ctx context.Context, name, key string, settles time.Duration) error {
	s := &sender{pod: name}
	if _, err := kubectl(ctx, fmt.Sprintf(senderPod, name, w.rate, settles, key), "apply", "-f", "-"); err != nil {
		return err
	}
	if _, err := kubectl(ctx, "", "-n", senders, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=2m"); err != nil {
		return err
	}
	go s.follow(ctx)
	w.sender = s
	return until(ctx, "the sender sends", time.Minute, func() (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.last.Sent > 0, nil
	})
}

// follow reads what the sender prints, until its verdict.
func (s *sender) follow(ctx context.Context) {
	for ctx.Err() == nil {
		c := exec.CommandContext(ctx, "kubectl", "-n", senders, "logs", "-f", s.pod)
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			say("following the sender: %v", err)
			return
		}
		var bad []line // a new reading begins at the beginning
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var l line
			if json.Unmarshal(lines.Bytes(), &l) != nil {
				say("the sender: %s", lines.Text())
				continue
			}
			s.mu.Lock()
			if l.Event != "" {
				bad = append(bad, l)
			}
			if len(bad) > len(s.bad) {
				s.bad = slices.Clone(bad)
			}
			if l.Sent > s.last.Sent || l.Verdict != nil {
				s.last = l
			}
			if l.Verdict != nil {
				s.end = l.Verdict
			}
			s.mu.Unlock()
		}
		_ = c.Wait()
		s.mu.Lock()
		done := s.end != nil
		s.mu.Unlock()
		if done {
			return
		}
		_ = sleep(ctx, time.Second)
	}
}

// mark is a place in the sender's output.
func (s *sender) mark() line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// seen counts the answers of a span of time.
type seen struct {
	answers  map[string]int
	failures []line
}

func (s seen) total() (n int) {
	for _, c := range s.answers {
		n += c
	}
	return n
}

// since returns the answers since a mark.
func (s *sender) since(from line) seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := seen{answers: maps.Clone(s.last.Answers)}
	for answer, n := range from.Answers {
		if r.answers[answer] -= n; r.answers[answer] == 0 {
			delete(r.answers, answer)
		}
	}
	for _, l := range s.bad {
		if l.Time.After(from.Time) {
			r.failures = append(r.failures, l)
		}
	}
	return r
}

// exec runs the sender's program in its pod.
func (s *sender) exec(ctx context.Context, args ...string) (string, error) {
	return kubectl(ctx, "", append([]string{"-n", senders, "exec", s.pod, "--", "/sender"}, args...)...)
}

// judge stops the sender and returns its verdict.
func (w *world) judge(ctx context.Context) (*verdict, error) {
	s := w.sender
	if _, err := s.exec(ctx, "stop"); err != nil {
		return nil, err
	}
	err := until(ctx, "the sender's verdict", 10*time.Minute, func() (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.end != nil, nil
	})
	if err != nil {
		return nil, err
	}
	v := *s.end
	w.note("ledger and stream", fmt.Sprintf("%d sent, %d answered 200, of these %d in the stream; missing %d, twice %d, never sent %d; stored without a 200: %d; %s",
		s.last.Sent, v.Accepted, v.Stored, v.Missing, v.Twice, v.Unsent, v.Unknown, counts(s.last.Answers)))
	if v.Twice > 0 || v.Unsent > 0 || v.Accepted == 0 {
		return nil, fmt.Errorf("the stream doesn't agree with the ledger: %v", v.Examples)
	}
	return &v, nil
}

// kept expects every delivery that was answered 200 to be in the stream.
func (w *world) kept(ctx context.Context) error {
	v, err := w.judge(ctx)
	if err == nil && v.Missing > 0 {
		err = fmt.Errorf("%d acknowledged events are lost: %v", v.Missing, v.Examples)
	}
	return err
}

// counts are answers in words.
func counts(answers map[string]int) string {
	var words []string
	for _, answer := range slices.Sorted(maps.Keys(answers)) {
		words = append(words, fmt.Sprintf("%d × %s", answers[answer], answer))
	}
	return strings.Join(words, ", ")
}
