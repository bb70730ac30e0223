//go:build linux

package main

import (
	"fmt"
	"time"
)

// doubt is a possible violation. It is none if the machine stalled meanwhile for long enough to
// explain it: then nobody can tell. Such cases are counted, and must stay rare.
type doubt struct {
	bridge   string
	from, to time.Time
	explains time.Duration
	what     string
}

// worthARefusal is the shortest stall that explains why a spool with room refused: a bridge waits
// longer for it.
const worthARefusal = 300 * time.Millisecond

// mostUnjudged is the largest share of a run's deliveries that may stay in doubt.
const mostUnjudged = 0.01

// unless records a doubt. It is judged at the end, since a stall is known only after its end.
func (l *ledger) unless(bridge string, from, to time.Time, explains time.Duration, format string, args ...any) {
	l.doubts = append(l.doubts, doubt{bridge, from, to, explains, fmt.Sprintf(format, args...)})
}

// judgeDoubts reports the doubts that no stall explains as violations.
func (l *ledger) judgeDoubts() {
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, d := range l.doubts {
		if min(d.to.Sub(d.from), l.machine.stood(d.bridge, d.from, d.to)) < d.explains {
			l.wrong("%s", d.what)
			continue
		}
		l.tally.add(unjudged, 1)
	}
	l.doubts = nil
}
