package inspect

import "testing"

// A page may ask for any place: only those whose next event is in the ring, or yet to come, are
// held.
func TestRing(t *testing.T) {
	r := newRing(2, 1<<20)
	for range 3 {
		r.add(shown{})
	}
	for place, want := range map[uint64]struct {
		events int
		held   bool
	}{
		0: {0, false}, 1: {2, true}, 2: {1, true}, 3: {0, true}, 4: {0, false}, 1<<64 - 1: {0, false},
	} {
		if events, held := r.after(place); len(events) != want.events || held != want.held {
			t.Errorf("after %d: %d events, %t; want %+v", place, len(events), held, want)
		}
	}
}
