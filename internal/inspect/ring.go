package inspect

import (
	"encoding/json"
	"sync"
)

// ring holds the newest events in the pages' JSON, bounded in number and bytes. Their places count
// from 1.
type ring struct {
	mu     sync.Mutex
	events []json.RawMessage // oldest first
	next   uint64            // the place of the next event
	bytes  int

	maxEvents, maxBytes int
}

func newRing(maxEvents, maxBytes int) *ring {
	return &ring{next: 1, maxEvents: maxEvents, maxBytes: maxBytes}
}

// add adds an event, and drops the oldest to keep the bounds.
func (r *ring) add(v shown) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v.Place = r.next
	text, _ := json.Marshal(v) // strings and numbers only
	r.events = append(r.events, text)
	r.next++
	r.bytes += len(text)
	for len(r.events) > r.maxEvents || r.bytes > r.maxBytes && len(r.events) > 1 {
		r.bytes -= len(r.events[0])
		r.events[0] = nil
		r.events = r.events[1:]
	}
}

// first returns the place of the oldest event.
func (r *ring) first() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - uint64(len(r.events))
}

// after returns events after a place, oldest first, up to a number of bytes. It reports whether the
// next event after the place is held, or yet to come.
func (r *ring) after(place uint64) (events []json.RawMessage, held bool) {
	const maxBytes = 1 << 20
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next - uint64(len(r.events))
	if place+1 < first || place >= r.next {
		return nil, false
	}
	size := 0
	for _, text := range r.events[place+1-first:] {
		if events = append(events, text); size > maxBytes {
			break
		}
		size += len(text)
	}
	return events, true
}
