//go:build linux

package main

import (
	"maps"
	"slices"
	"sync"
)

// tally counts by name.
type tally struct {
	lock sync.Mutex
	n    map[string]int
}

// The names that scenarios ask for.
const (
	deliveries   = "deliveries"
	promises     = "promises (200)"
	spooled      = "spooled"
	refused      = "refused (503)"
	ambiguous    = "ambiguous acks"
	suppressed   = "suppressed duplicates"
	found        = "found by look-up"
	leaders      = "leader changes"
	breakers     = "breaker openings"
	aside        = "set aside"
	quarantined  = "quarantined"
	restarts     = "restarts"
	kills        = "kills of a bridge"
	pauses       = "pauses of a bridge"
	natsKills    = "kills of NATS"
	natsPauses   = "pauses of NATS"
	lameDucks    = "orderly restarts of NATS"
	hungUp       = "hung up"
	unanswered   = "unanswered"
	cutOff       = "cut off by a kill"
	felt         = "late after a pause"
	workedOn     = "kept, though hung up on for good"
	unjudged     = "too slow a machine to judge"
	forgeries    = "forgeries refused"
	possible     = "possible duplicates"
	inOrder      = "pairs in order"
	lostByStream = "gone with a deleted stream"
	listed       = "listed in a spool"
	streams      = "streams read"
)

func (t *tally) add(what string, n int) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.n == nil {
		t.n = make(map[string]int)
	}
	t.n[what] += n
}

func (t *tally) of(what string) int {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.n[what]
}

// all returns a copy of the counts above zero.
func (t *tally) all() map[string]int {
	t.lock.Lock()
	defer t.lock.Unlock()
	n := maps.Clone(t.n)
	maps.DeleteFunc(n, func(_ string, n int) bool { return n == 0 })
	return n
}

func (t *tally) merge(other *tally) {
	for what, n := range other.all() {
		t.add(what, n)
	}
}

// names are those of counts, in order.
func names(n map[string]int) []string { return slices.Sorted(maps.Keys(n)) }
