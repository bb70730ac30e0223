//go:build linux

package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// stored is a message of a stream.
type stored struct {
	id       string // Nats-Msg-Id
	inside   string // the envelope's id; in quarantine there is none
	sum      uint64 // of the body
	sequence uint64
}

// findings are the contents of streams, spools and logs at the end.
type findings struct {
	events, quarantined []stored
	spooled             map[string]bool // ids that a spool lists, of what is set aside
	deleted             []deletion      // of the stream of events
	orderly             map[string]bool // bridges whose spool was delivered without a failure, in one life
	steady              map[string]bool // bridges that ran all the time
}

// goneWith reports whether an event was lost with a deleted or purged stream: the stream had it, or it
// was sent shortly before. NATS still knows the ids of what was purged, so a later delivery is a
// duplicate.
func (f *findings) goneWith(id string, e *entry) bool {
	sent := e.asked
	if e.how == "duplicate" {
		sent = e.first
	}
	return slices.ContainsFunc(f.deleted, func(d deletion) bool {
		return sent.Before(d.done) && (d.had[id] || sent.After(d.looked.Add(-answerBound)))
	})
}

// check compares the findings with the promises.
func (l *ledger) check(f findings) {
	l.lock.Lock()
	defer l.lock.Unlock()
	events := l.checkStream("events", f.events, false)
	kept := l.checkStream("quarantine", f.quarantined, true)
	for id, e := range l.entries {
		isKept := events[id] > 0 || f.spooled[id]
		switch {
		case f.spooled[id] && e.kind == forged:
			l.wrong("forged %s lies in a spool", id)
		case e.promised.IsZero():
			l.checkUnpromised(id, e, isKept || f.goneWith(id, e), f.steady[e.leftAt])
		case e.inQuarantine && kept[id] == 0 && events[id] == 0 && !f.spooled[id]:
			l.wrong("%s %s is lost: %s promised to keep it at %s (%s)", e.kind, id, e.by, e.promised.Format(time.TimeOnly), e.how)
		case e.inQuarantine || events[id] > 0:
		case f.spooled[id]:
			l.tally.add(listed, 1)
		case f.goneWith(id, e):
			l.tally.add(lostByStream, 1)
		default:
			l.wrong("%s %s is lost: %s answered %q at %s", e.kind, id, e.by, e.how, e.promised.Format(time.TimeOnly+".000"))
		}
	}
	for id := range f.spooled {
		if l.entries[id] == nil {
			l.wrong("a spool lists %s, which nobody sent", id)
		}
	}
	if !l.rules.asides && len(f.spooled) > asideByChance {
		l.wrong("%d records are set aside, though NATS refuses none for its own sake", len(f.spooled))
	}
	if !l.rules.disorder {
		l.checkOrder(f)
	}
}

// asideByChance is how many records may be set aside while NATS comes and goes: a record failed six
// times, and another one was accepted in between.
const asideByChance = 3

// checkUnpromised checks an event without a 200. If the sender hung up after it had sent
// everything, the bridge must have continued.
func (l *ledger) checkUnpromised(id string, e *entry, isKept, ranOn bool) {
	switch {
	case e.kind != anEvent || e.attempts == 0:
	case l.rules.lossless && e.leftAt == "":
		l.unless(e.by, e.first.Add(-2*time.Second), e.first.Add(2*time.Second), worthARefusal, "%s %s was never promised, though no fault excuses it", e.kind, id)
	case ranOn && !l.rules.refuses && l.rules.also == nil && !isKept:
		l.wrong("%s %s was dropped by %s when its sender hung up", e.kind, id, e.leftAt)
	case ranOn && isKept:
		l.tally.add(workedOn, 1)
	}
}

// checkStream counts the ids of a stream.
func (l *ledger) checkStream(name string, messages []stored, ofQuarantine bool) map[string]int {
	times := make(map[string]int)
	var twice []string
	for _, m := range messages {
		if id, ok := l.keptAs[m.id]; ok && ofQuarantine {
			m.id = id
		}
		times[m.id]++
		e := l.entries[m.id]
		switch {
		case e == nil:
			l.wrong("%s: message %d has the id %s, which nobody sent", name, m.sequence, m.id)
		case e.kind == forged:
			l.wrong("%s: message %d is unsigned: %s", name, m.sequence, m.id)
		case !ofQuarantine && (e.kind != anEvent || m.inside != m.id):
			l.wrong("%s: message %d is no event: %s %s, in its envelope %q", name, m.sequence, e.kind, m.id, m.inside)
		case e.sum != m.sum:
			l.wrong("%s: message %d isn't what was sent: %s", name, m.sequence, m.id)
		case times[m.id] > 1:
			twice = append(twice, fmt.Sprintf("%s: %s %s is stored twice, again as message %d", name, e.kind, m.id, m.sequence))
		}
	}
	l.tally.add(streams, 1)
	if announced := l.tally.of(possible); len(twice) > announced { // what is counted as a possible duplicate may be one (ADR 9)
		l.violations = append(l.violations, twice...)
	} else {
		l.tally.add("stored twice, as announced", len(twice))
	}
	return times
}

// checkOrder checks that one sender's successive deliveries to one bridge are stored in that order.
// A batch that failed in part may be out of order, so only deliveries without failures count.
func (l *ledger) checkOrder(f findings) {
	type placed struct {
		number   int
		sequence uint64
		id       string
	}
	type road struct {
		sender int
		by     string
	}
	roads := make(map[road][]placed)
	for _, m := range f.events {
		if e := l.entries[m.id]; e != nil && e.kind == anEvent && e.attempts == 1 && f.orderly[e.by] && (e.how == "stored" || e.how == "spooled") {
			r := road{e.sender, e.by}
			roads[r] = append(roads[r], placed{e.number, m.sequence, m.id})
		}
	}
	for r, all := range roads {
		slices.SortFunc(all, func(a, b placed) int { return cmp.Compare(a.number, b.number) })
		for i := range len(all) - 1 {
			l.tally.add(inOrder, 1)
			if all[i].sequence > all[i+1].sequence {
				l.wrong("sender %d, %s: %s is message %d, and %s, sent later, is message %d", r.sender, r.by, all[i].id, all[i].sequence, all[i+1].id, all[i+1].sequence)
			}
		}
	}
}
