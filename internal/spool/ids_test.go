package spool

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestIDs compares the ids with a map.
func TestIDs(t *testing.T) {
	var s ids
	want := make(map[id]int)
	random := rand.New(rand.NewPCG(1, 2))
	some := func() (x id) { // of few lists
		x[0] = byte(random.IntN(2))
		binary.LittleEndian.PutUint64(x[2:], random.Uint64N(500))
		return x
	}
	for i := range 20_000 {
		x := some()
		if random.IntN(2) == 0 && i < 15_000 {
			s.add(x)
			want[x]++
		} else {
			s.remove(x)
			want[x] = max(0, want[x]-1)
		}
		if y := some(); s.has(y) != (want[y] > 0) {
			t.Fatalf("has %v, wants %v", s.has(y), want[y])
		}
	}
}

// TestMemoryOfIDs holds the set to 24 bytes for each id.
func TestMemoryOfIDs(t *testing.T) {
	var s ids
	memory := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := memory()
	for i := 1; i <= 1_000_000; i++ {
		s.add(idOf(0, fmt.Sprint(i)))
		if i%250_000 == 0 {
			if each := float64(memory()-before) / float64(i); each > 24 {
				t.Errorf("%.1f bytes each for %d", each, i)
			} else {
				t.Logf("%.1f bytes each for %d", each, i)
			}
		}
	}
	runtime.KeepAlive(s)
}
