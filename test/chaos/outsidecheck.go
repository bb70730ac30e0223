package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// The bounds of what a bridge may use. Goroutines and descriptors must come back to what they were before the load.
const (
	mostMemory  = 256 << 20
	mostEmbed   = 512 << 20
	moreOfAPart = 10
)

// checkLeaks looks for goroutines, descriptors and memory.
func (w *world) checkLeaks() {
	for _, b := range w.bridges {
		err := until(w.ctx, 30*time.Second, b.name+" is at rest", func(ctx context.Context) error {
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
		peak, err := b.peak()
		bound := int64(mostMemory)
		if w.isEmbedded() {
			bound = mostEmbed
		}
		if err != nil || peak > bound {
			w.ledger.wrong("%s had %d MiB of memory at one time, %d are allowed; %v", b.name, peak>>20, bound>>20, err)
		}
	}
}

// checkMetrics holds what the last life of each bridge has counted to what its senders were answered. A sender that got no
// answer doesn't know what was counted, so there may be as many more.
func (w *world) checkMetrics(orderly map[string]bool) {
	l := w.ledger
	for _, b := range w.bridges {
		m, err := b.scrape(w.ctx)
		if err != nil {
			l.wrong("%v", err)
			continue
		}
		counted, observed := make(map[string]int), 0
		for series, n := range m {
			if strings.HasPrefix(series, "webhook_bridge_deliveries_total{") {
				counted[codeOf(label(series, "outcome"))] += int(n)
			}
		}
		answers := l.answers[life{b.name, b.life.Load()}]
		extra := 0
		for code, n := range counted {
			observed += n
			extra += n - answers[code]
			if n < answers[code] {
				l.wrong("%s answered %q %d times and has counted %d", b.name, code, answers[code], n)
			}
		}
		for code, n := range answers {
			if _, ok := counted[code]; !ok && code != unanswered {
				l.wrong("%s answered %q %d times and hasn't counted it", b.name, code, n)
			}
		}
		if extra > answers[unanswered] {
			l.wrong("%s has counted %d deliveries more than there were answers, and %d had none: %v, %v", b.name, extra, answers[unanswered], counted, answers)
		}
		if n := int(m.sum("webhook_bridge_delivery_duration_seconds_count")); n != observed {
			l.wrong("%s has the durations of %d of %d deliveries", b.name, n, observed)
		}
		orderly[b.name] = b.life.Load() == 1 && failures(m, "spool") == 0
	}
}

// codeOf is what a sender is told where the metrics count an outcome.
func codeOf(outcome string) string {
	if strings.HasPrefix(outcome, "signature_") || outcome == "contradiction" {
		return "signature"
	}
	return outcome
}

// failures counts the attempts to publish events that failed.
func failures(m metrics, way string) (n int) {
	for series, value := range m {
		if strings.HasPrefix(series, "webhook_bridge_publishes_total{") && label(series, "kind") == "event" && label(series, "way") == way {
			switch label(series, "outcome") {
			case "stored", "duplicate", "found":
			default:
				n += int(value)
			}
		}
	}
	return n
}

// checkPublished holds what all bridges have counted as stored to the stream, where every life was seen to its end.
// What failed may be stored all the same.
func (w *world) checkPublished(inStream int) {
	unsure := 0
	all := 0
	for _, b := range w.bridges {
		if b.life.Load() != 1 {
			return
		}
		m := b.counters()
		all += int(m.sum("webhook_bridge_publishes_total", `kind="event"`, `outcome="stored"`))
		unsure += failures(m, "direct") + failures(m, "spool")
	}
	if len(w.deleted) > 0 {
		return
	}
	if all > inStream || all+unsure < inStream {
		w.ledger.wrong("the bridges have counted %d events as stored, and %d attempts that failed; the stream has %d", all, unsure, inStream)
	}
}

// count puts what the bridges have counted to the tally.
func (w *world) count() {
	for _, b := range w.bridges {
		m := b.counters()
		for what, outcomes := range map[string][]string{ambiguous: {"timeout", "disconnected"}, suppressed: {"duplicate"}, found: {"found"}} {
			for _, o := range outcomes {
				w.tally.add(what, int(m.sum("webhook_bridge_publishes_total", `outcome="`+o+`"`)))
			}
		}
		for _, o := range []string{"forbidden", "too_large", "subject_full"} {
			w.tally.add(aside, int(m.sum("webhook_bridge_publishes_total", `way="spool"`, `outcome="`+o+`"`)))
		}
		w.tally.add(possible, int(m.sum("webhook_bridge_possible_duplicates_total")))
	}
}
