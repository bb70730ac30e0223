package spool

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestIDs holds the set to a map, and to what it may take.
func TestIDs(t *testing.T) {
	var s ids
	want := make(map[id]bool)
	random := rand.New(rand.NewPCG(1, 2))
	some := func() (x id) { // few first bytes, so that parts fill and collide
		x[0] = byte(random.IntN(2))
		binary.LittleEndian.PutUint64(x[1:], random.Uint64N(500)<<55)
		x[15] = 1
		return x
	}
	for i := range 20_000 {
		x := some()
		if random.IntN(2) == 0 && i < 15_000 {
			if added := s.add(x); added == want[x] {
				t.Fatalf("add reports %v", added)
			}
			want[x] = true
		} else {
			s.remove(x)
			delete(want, x)
		}
		if y := some(); s.has(y) != want[y] || s.n != len(want) {
			t.Fatalf("has %v, wants %v; %d of %d", s.has(y), want[y], s.n, len(want))
		}
	}
	var large ids
	for i := range 300_000 {
		large.add(idOf(0, fmt.Sprint(i)))
		if i%25_000 == 0 && i > 0 {
			slots := 0
			for _, p := range large.parts {
				slots += len(p.slots)
			}
			if each := float64(16*slots) / float64(large.n); each > 24 {
				t.Errorf("%.1f bytes each for %d", each, large.n)
			}
		}
	}
}
