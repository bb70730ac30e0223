//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// The bounds for a bridge's resources. Goroutines and descriptors must return to their number
// before the load.
const (
	mostMemory  = 96 << 20
	mostEmbed   = 128 << 20
	moreOfAPart = 10
)

// checkLeaks looks for leaked goroutines, descriptors and memory.
func (w *world) checkLeaks() {
	for _, b := range w.bridges {
		err := poll.Try(w.ctx, patiently, b.name+" is at rest", func(ctx context.Context) error {
			m, err := b.scrape(ctx)
			if err != nil {
				return err
			}
			for _, name := range []string{"go_goroutines", "process_open_fds"} {
				if now, then := m.sum(name), b.began.sum(name); now > then+moreOfAPart {
					return fmt.Errorf("%s was %v before the load and is %v after it", name, then, now)
				}
			}
			return nil
		})
		if err != nil {
			w.ledger.wrong("%v", err)
		}
		peak, err := b.proc.Peak()
		bound := int64(mostMemory)
		if w.isEmbedded() {
			bound = mostEmbed
		}
		w.memory = max(w.memory, peak)
		if err != nil || peak > bound {
			w.ledger.wrong("%s had %d MiB of memory at one time, %d are allowed; %v", b.name, peak>>20, bound>>20, err)
		}
	}
}

// checkMetrics compares the metrics of a bridge's last process with its answers: at the end, since
// an answer is counted after it is given.
func (w *world) checkMetrics(b *bridge) error {
	return poll.Try(w.ctx, 20*time.Second, "the metrics of "+b.name+" agree", func(ctx context.Context) error {
		m, err := b.scrape(ctx)
		if err != nil {
			return err
		}
		w.ledger.lock.Lock()
		defer w.ledger.lock.Unlock()
		return compare(m, w.ledger.of(life{b.name, b.life.Load()}))
	})
}

// compare compares metrics with answers. The bridge may have counted as many more as there are
// senders without an answer.
func compare(m metrics, said *answers) error {
	counted := make(map[string]int)
	for series, n := range m {
		if strings.HasPrefix(series, "webhook_bridge_deliveries_total{") {
			counted[codeOf(label(series, "outcome"))] += int(n)
		}
	}
	var errs []error
	observed, answered := 0, 0
	for _, n := range counted {
		observed += n
	}
	for outcome, n := range said.outcomes {
		answered += n
		if counted[outcome] < n {
			errs = append(errs, fmt.Errorf("it answered %q %d times and has counted %d", outcome, n, counted[outcome]))
		}
	}
	for what, n := range map[string]struct {
		counted int
		said    int
	}{
		"deliveries":          {observed, answered},
		"kept in quarantine":  {int(m.sum("webhook_bridge_quarantined_total")), said.kept},
		"verified signatures": {int(m.sum("webhook_bridge_signatures_verified_total")), said.signed},
	} {
		if n.counted < n.said || n.counted > n.said+said.unanswered {
			errs = append(errs, fmt.Errorf("%s: it has counted %d; it has answered %d so, and %d senders had no answer", what, n.counted, n.said, said.unanswered))
		}
	}
	if n := int(m.sum("webhook_bridge_delivery_duration_seconds_count")); n != observed {
		errs = append(errs, fmt.Errorf("it has the durations of %d of %d deliveries", n, observed))
	}
	return errors.Join(errs...)
}

// codeOf returns the code that a sender gets for an outcome in the metrics. Contradictions have the
// code of other signature failures, and are counted apart.
func codeOf(outcome string) string {
	if strings.HasPrefix(outcome, "signature_") {
		return "signature"
	}
	return outcome
}

// failures counts the attempts to publish that failed.
func failures(m metrics, kind, way string) (n int) {
	for series, value := range m {
		if strings.HasPrefix(series, "webhook_bridge_publishes_total{") && label(series, "kind") == kind && label(series, "way") == way {
			switch label(series, "outcome") {
			case "stored", "duplicate", "found":
			default:
				n += int(value)
			}
		}
	}
	return n
}

// checkPublished compares the events that all bridges have counted as stored with the stream, if
// every process was seen to its end. Failed ones may be stored all the same.
func (w *world) checkPublished(inStream int, kinds ...string) {
	unsure := 0
	all := 0
	for _, b := range w.bridges {
		if b.life.Load() != 1 {
			return
		}
		m := b.counters()
		for _, kind := range kinds {
			all += int(m.sum("webhook_bridge_publishes_total", `kind="`+kind+`"`, `outcome="stored"`))
			unsure += failures(m, kind, "direct") + failures(m, kind, "spool")
		}
	}
	if len(w.deleted) > 0 {
		return
	}
	if all > inStream || all+unsure < inStream {
		w.ledger.wrong("the bridges have counted %d messages of kind %v as stored, and %d attempts that failed; the stream has %d", all, kinds, unsure, inStream)
	}
}

// count adds the bridges' counts to the tally.
func (w *world) count() {
	for _, b := range w.bridges {
		m := b.counters()
		for what, outcome := range map[string]string{ambiguous: "timeout", suppressed: "duplicate", found: "found"} {
			w.tally.add(what, int(m.sum("webhook_bridge_publishes_total", `outcome="`+outcome+`"`)))
		}
		for _, o := range []string{"forbidden", "too_large", "subject_full"} {
			w.tally.add(aside, int(m.sum("webhook_bridge_publishes_total", `way="spool"`, `outcome="`+o+`"`)))
		}
		w.tally.add(possible, int(m.sum("webhook_bridge_possible_duplicates_total")))
	}
}
