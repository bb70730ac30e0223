//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// result is the result of an attack.
type result struct {
	attack     attack
	stream     string
	took       time.Duration
	good       *good
	did        report
	cpu        time.Duration
	peak       int64
	probes     int
	probeErr   error
	violations []string
}

// judge compares what is stored with what was answered.
func (s *stage) judge(ctx context.Context, bridge *process.Process, r *result) error {
	violate := func(format string, args ...any) { r.violations = append(r.violations, fmt.Sprintf(format, args...)) }
	if !bridge.Runs() {
		violate("the bridge has ended")
	}
	if r.peak > cmp.Or(r.attack.most, most) {
		violate("the bridge took %d MB", r.peak>>20)
	}
	if r.probeErr != nil {
		violate("the admin listener failed: %v", r.probeErr)
	}
	for _, what := range r.attack.evidence {
		if r.did.Counts[what] == 0 {
			violate("the attack was none: no %q", what)
		}
	}
	answers := r.good.answers()
	sent, busy := 0, answers["503 busy"]
	for _, n := range answers {
		sent += n
	}
	// A 503 because NATS or the disk was slow isn't the attack's doing, but the machine's.
	if refused := sent - answers["200"] - answers[unavailable]; refused > busy || float64(busy) > r.attack.busy*float64(sent) {
		violate("of %d good deliveries %d were refused: %v", sent, refused, answers)
	}
	if answers["200"] == 0 {
		violate("no good delivery was accepted")
	}
	stream, err := s.js.Stream(ctx, r.stream)
	if err != nil {
		return fmt.Errorf("looking at the stream: %w", err)
	}
	stored, err := idsIn(ctx, stream)
	if err != nil {
		return err
	}
	for _, id := range r.good.accepted() {
		if stored[id] != 1 {
			violate("the good delivery %s is stored %d times", id, stored[id])
		}
	}
	for id, n := range stored {
		if n != 1 || !r.good.sentID(id) && !slices.Contains(r.did.Signed, id) {
			violate("%s is stored %d times, and no good sender sent it", id, n)
		}
	}
	kept, err := s.js.Stream(ctx, r.stream+"_QUARANTINE")
	if err != nil {
		return fmt.Errorf("looking at the quarantine: %w", err)
	}
	if n := kept.CachedInfo().State.Msgs; n > 0 && !r.attack.quarantined {
		violate("%d deliveries are in quarantine", n)
	}
	for reason, want := range r.attack.kept {
		info, err := kept.Info(ctx, jetstream.WithSubjectFilter("*.flock."+reason))
		if err != nil {
			return fmt.Errorf("looking at the quarantine: %w", err)
		}
		n := uint64(0)
		for _, messages := range info.State.Subjects {
			n += messages
		}
		if n != want {
			violate("%d deliveries are in quarantine as %s, want %d", n, reason, want)
		}
	}
	// Checked messages are removed, so that the disk need not hold those of all attacks.
	return errors.Join(s.js.DeleteStream(ctx, r.stream), s.js.DeleteStream(ctx, r.stream+"_QUARANTINE"))
}

// idsIn counts the messages by their id.
func idsIn(ctx context.Context, stream jetstream.Stream) (map[string]int, error) {
	ids := make(map[string]int)
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, fmt.Errorf("reading the stream: %w", err)
	}
	for left := int(stream.CachedInfo().State.Msgs); left > 0; {
		batch, err := consumer.Fetch(min(left, 1000), jetstream.FetchMaxWait(30*time.Second))
		if err != nil {
			return nil, fmt.Errorf("reading the stream: %w", err)
		}
		n := 0
		for m := range batch.Messages() {
			ids[m.Headers().Get(nats.MsgIdHdr)]++
			n++
		}
		if n == 0 {
			return nil, fmt.Errorf("reading the stream: %d messages didn't come: %w", left, batch.Error())
		}
		left -= n
	}
	return ids, nil
}

const unavailable = "503 unavailable"

const header = "attack              seconds   good: sent     200    busy   unav   p50 ms   p99 ms   max ms   memory MB   cores   it met\n"

// print prints a line, and the violations.
func (r result) print(out io.Writer) {
	answers := r.good.answers()
	sent := 0
	for _, n := range answers {
		sent += n
	}
	p50, p99, slowest := r.good.percentiles()
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	fmt.Fprintf(out, "%-18s %8.1f %12d %7d %7d %6d %8.1f %8.1f %8.1f %11d %7.2f   %s\n", r.attack.name, r.took.Seconds(), sent, answers["200"], answers["503 busy"], answers[unavailable],
		ms(p50), ms(p99), ms(slowest), r.peak>>20, r.cpu.Seconds()/r.took.Seconds(), inWords(r.did.Counts))
	if n := r.did.Counts[r.attack.each]; n > 0 {
		fmt.Fprintf(out, "  %.0f ms of a core for each %s, good deliveries included\n", ms(r.cpu)/float64(n), r.attack.each)
	}
	for i, v := range r.violations {
		if i == 10 {
			fmt.Fprintf(out, "  and %d more\n", len(r.violations)-i)
			break
		}
		fmt.Fprintf(out, "  VIOLATED: %s\n", v)
	}
}

func inWords(n map[string]int) string {
	var words []string
	for _, what := range slices.Sorted(maps.Keys(n)) {
		words = append(words, fmt.Sprintf("%s %d", what, n[what]))
	}
	return strings.Join(words, ", ")
}
