//go:build linux

package main

import (
	"fmt"
	"sync"
	"time"
)

// ledger records deliveries and answers, and the violations that it finds.
type ledger struct {
	rules   rules
	tally   *tally
	machine interface {
		// stood returns for how long the machine kept a bridge from running between two moments.
		stood(bridge string, from, to time.Time) time.Duration
	}
	lock       sync.Mutex
	entries    map[string]*entry // by id
	keptAs     map[string]string // ids, by those in quarantine
	answers    map[life]*answers
	slowest    time.Duration
	violations []string
	doubts     []doubt
}

// entry is one event, with all of its deliveries.
type entry struct {
	kind           kind
	sum            uint64
	sender, number int
	attempts       int
	first          time.Time // when it was first sent
	promised       time.Time // when it was first answered so that it must be kept; zero where it never was
	asked          time.Time // when what was answered so had been sent
	how            string    // the status of that answer
	by             string    // whose answer it was
	inQuarantine   bool      // it is promised to be there, not among the events
	leftAt         string    // the bridge that had it whole when its sender hung up
}

// life is one process of one bridge.
type life struct {
	bridge string
	number int64
}

// answers counts the answers of one process of a bridge, in the words of its metrics.
type answers struct {
	outcomes     map[string]int
	kept, signed int // in quarantine; proven
	unanswered   int
}

// answer is the result of one attempt.
type answer struct {
	life       life
	began      time.Time
	sent, came time.Time // its last byte, the answer's first one; zero where that didn't happen
	status     int
	code       string // the answer's status or code
	id         string
	err        error
	whole      bool   // all of it was written
	excused    string // why there may be no answer: the bridge was away, or the sender hung up
	gaveUp     bool   // the sender had waited as long as it does
}

// rules are the exceptions that a scenario allows, and its demands.
type rules struct {
	also     map[string]bool          // codes that an event may be answered with, too
	refuses  bool                     // a bridge may answer 503: its disk is full, slow or broken
	asides   bool                     // NATS refuses some records for their own sake
	lossless bool                     // every event is to be promised, those of senders that try once among them
	disorder bool                     // the order isn't kept: the disk fails
	atLeast  map[string]time.Duration // how long what is answered so must have taken, since a sync lasts so long
}

// answerBound is the contract's bound for an answer.
const answerBound = time.Second

func newLedger(r rules, t *tally, w *world) *ledger {
	return &ledger{rules: r, tally: t, machine: w, entries: make(map[string]*entry), keptAs: make(map[string]string), answers: make(map[life]*answers)}
}

func (l *ledger) wrong(format string, args ...any) {
	l.violations = append(l.violations, fmt.Sprintf(format, args...))
}

// sends records that a delivery is about to be sent for the first time.
func (l *ledger) sends(p post, sender, number int) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.tally.add(deliveries, 1)
	l.keptAs[p.keptAs] = p.id
	l.entries[p.id] = &entry{kind: p.kind, sum: p.sum, sender: sender, number: number}
}

// of returns the answers of that process.
func (l *ledger) of(one life) *answers {
	if l.answers[one] == nil {
		l.answers[one] = &answers{outcomes: make(map[string]int)}
	}
	return l.answers[one]
}

// answered records an attempt.
func (l *ledger) answered(p post, a answer) {
	l.lock.Lock()
	defer l.lock.Unlock()
	e := l.entries[p.id]
	if e.attempts++; e.attempts == 1 {
		e.first = a.began
	}
	of := l.of(a.life)
	l.judgeTime(p, e, a)
	if a.err == nil {
		l.note(of, p, a)
		l.judge(p, e, a)
		return
	}
	of.unanswered++
	l.tally.add(unanswered, 1)
	switch {
	case a.excused == killed:
		l.tally.add(cutOff, 1)
	case a.excused == hungUp && a.whole:
		e.leftAt, e.asked = a.life.bridge, a.sent
	case a.excused == hungUp:
	case a.excused == "" && !a.gaveUp:
		l.wrong("%s %s: no answer of %s, which ran: %v", p.kind, p.id, a.life.bridge, a.err)
	}
}

// note counts an answer as the bridge must have counted it.
func (l *ledger) note(of *answers, p post, a answer) {
	outcome := a.code
	if p.kind == contradiction && outcome == "signature" { // senders aren't told, the metrics are
		outcome = p.kind.String()
	}
	of.outcomes[outcome]++
	if p.kind == forged || a.code == "busy" {
		return
	}
	of.signed++
	if a.status == 401 || a.code == "quarantined" {
		of.kept++
	}
}

// judgeTime compares the time of an answer, or of the wait for one, with the bound.
func (l *ledger) judgeTime(p post, e *entry, a answer) {
	if a.sent.IsZero() {
		return
	}
	took := a.came.Sub(a.sent)
	if a.excused == paused && a.err == nil && took > 100*time.Millisecond {
		l.tally.add(felt, 1)
	}
	// An event that is sent again may be stored already.
	if whole := a.came.Sub(a.began); a.err == nil && e.attempts == 1 && whole < l.rules.atLeast[a.code] {
		l.wrong("%s %s: %s answered %s after %s, when nothing can have been synced", p.kind, p.id, a.life.bridge, a.code, whole)
	}
	if a.excused != "" && (a.excused != stopping || a.err != nil) {
		return
	}
	l.slowest = max(l.slowest, took)
	if took > answerBound {
		l.unless(a.life.bridge, a.sent, a.came, took-answerBound, "%s %s: %s answered %d %s after %s, at %s", p.kind, p.id, a.life.bridge, a.status, a.code, took, a.came.Format(time.TimeOnly))
	}
}

// judge checks whether the delivery may get that answer.
func (l *ledger) judge(p post, e *entry, a answer) {
	said := fmt.Sprintf("%d %s", a.status, a.code)
	if a.status == 200 && a.id != p.id {
		l.wrong("%s %s was given the id %s", p.kind, p.id, a.id)
	}
	switch {
	case said == "503 unavailable" || said == "503 busy":
		l.tally.add(refused, 1)
		if !l.rules.refuses && a.excused != paused { // one that was stopped finds its time for an answer over
			// A bridge refuses after some waiting; an immediate refusal isn't due to the machine.
			l.unless(a.life.bridge, a.began, a.came, worthARefusal, "%s %s was answered %s by %s, whose spool has room", p.kind, p.id, said, a.life.bridge)
		}
		return
	case p.kind == anEvent && (said == "200 stored" || said == "200 duplicate" || said == "200 spooled"):
	case p.kind == anEvent && l.rules.also[a.code]:
		l.tally.add("answered "+a.code, 1)
		if a.status != 401 {
			return
		}
		e.inQuarantine = true
	case p.kind == unreadable && said == "200 quarantined",
		p.kind == stale && said == "401 stale",
		p.kind == contradiction && said == "401 signature":
		e.inQuarantine = true
	case p.kind == forged && said == "401 signature":
		l.tally.add(forgeries, 1)
		return
	default:
		l.wrong("%s %s was answered %s by %s", p.kind, p.id, said, a.life.bridge)
		return
	}
	if a.status == 200 {
		l.tally.add(promises, 1)
	}
	if e.inQuarantine {
		l.tally.add(quarantined, 1)
	}
	if a.code == "spooled" {
		l.tally.add(spooled, 1)
	}
	if e.promised.IsZero() {
		e.promised, e.asked, e.how, e.by = a.came, a.sent, a.code, a.life.bridge
	}
}
