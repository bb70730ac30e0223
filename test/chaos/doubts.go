//go:build linux

package main

import (
	"fmt"
	"time"
)

// doubt is what is a violation, unless the machine stood still meanwhile for so long that it explains it: then nobody
// can say. What nobody can say is counted, and must stay rare.
type doubt struct {
	bridge   string
	from, to time.Time
	explains time.Duration
	what     string
}

// worthARefusal is for how long a machine must have stood still that a spool with room may seem to have none: a bridge waits
// for it longer.
const worthARefusal = 300 * time.Millisecond

// mostUnjudged is the share of deliveries of a whole run of which nobody can say.
const mostUnjudged = 0.01

// unless notes a doubt. It is judged when all is over, since a standstill is known only after its end.
func (l *ledger) unless(bridge string, from, to time.Time, explains time.Duration, format string, args ...any) {
	l.doubts = append(l.doubts, doubt{bridge, from, to, explains, fmt.Sprintf(format, args...)})
}

// judgeDoubts makes violations of those that nothing explains.
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
