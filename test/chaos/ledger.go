package main

import (
	"fmt"
	"sync"
	"time"
)

// ledger has what was sent, and what was answered to it. Whatever it finds wrong is a violation.
type ledger struct {
	rules   rules
	tally   *tally
	control interface {
		excess(from, to time.Time) time.Duration
	}
	lock       sync.Mutex
	entries    map[string]*entry // by id
	answers    map[life]map[string]int
	slowest    time.Duration
	violations []string
}

// entry is one event, however often it was sent.
type entry struct {
	kind           kind
	sum            uint64
	sender, number int
	attempts       int
	promised       time.Time // when it was first answered so that it must be kept; zero where it never was
	asked          time.Time // when what was answered so had been sent
	how            string    // the status of that answer
	by             string    // whose answer it was
	inQuarantine   bool      // it is promised to be there, not among the events
}

// life is one life of one bridge.
type life struct {
	bridge string
	number int64
}

// answer is what became of one attempt.
type answer struct {
	life       life
	sent, came time.Time // its last byte, the answer's first one; zero where that didn't happen
	status     int
	code       string // the answer's status or code
	id         string
	err        error
	excused    string // why there may be no answer: the bridge was away, or the sender hung up
}

// rules are what a scenario allows besides.
type rules struct {
	also     map[string]bool // codes that an event may be answered with, too
	lossless bool            // every event is to be promised
	disorder bool            // the order isn't kept: the disk fails
}

// answerBound is the contract's.
const answerBound = time.Second

func newLedger(r rules, t *tally, c *control) *ledger {
	return &ledger{rules: r, tally: t, control: c, entries: make(map[string]*entry), answers: make(map[life]map[string]int)}
}

func (l *ledger) wrong(format string, args ...any) {
	l.violations = append(l.violations, fmt.Sprintf(format, args...))
}

// sends notes that a delivery is about to be sent for the first time.
func (l *ledger) sends(p post, sender, number int) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.tally.add(deliveries, 1)
	l.entries[p.id] = &entry{kind: p.kind, sum: p.sum, sender: sender, number: number}
}

// answered notes an attempt.
func (l *ledger) answered(p post, a answer) {
	l.lock.Lock()
	defer l.lock.Unlock()
	e := l.entries[p.id]
	e.attempts++
	of := l.answers[a.life]
	if of == nil {
		of = make(map[string]int)
		l.answers[a.life] = of
	}
	l.judgeTime(p, a)
	if a.err != nil {
		of[unanswered]++
		l.tally.add(unanswered, 1)
		if a.excused == "" {
			l.wrong("%s %s: no answer of %s, which ran: %v", p.kind, p.id, a.life.bridge, a.err)
		}
		return
	}
	of[a.code]++
	l.judge(p, e, a)
}

// judgeTime holds an answer, or the waiting for one, to the bound.
func (l *ledger) judgeTime(p post, a answer) {
	stopsWell := a.excused == stopping && a.err == nil
	if a.sent.IsZero() || a.excused != "" && !stopsWell {
		return
	}
	took := a.came.Sub(a.sent)
	l.slowest = max(l.slowest, took)
	if took > answerBound && took > answerBound+l.control.excess(a.sent, a.came) {
		l.wrong("%s %s: %s answered %d %s after %s, at %s", p.kind, p.id, a.life.bridge, a.status, a.code, took, a.came.Format(time.TimeOnly))
	}
}

// judge holds an answer to what the delivery is.
func (l *ledger) judge(p post, e *entry, a answer) {
	said := fmt.Sprintf("%d %s", a.status, a.code)
	if a.status == 200 && a.id != p.id {
		l.wrong("%s %s was given the id %s", p.kind, p.id, a.id)
	}
	switch {
	case said == "503 unavailable" || said == "503 busy":
		l.tally.add(refused, 1)
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
