package spool

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestIDs compares the ids with maps.
func TestIDs(t *testing.T) {
	var s ids
	want, isUnsure := make(map[id]int), make(map[id]bool)
	random := rand.New(rand.NewPCG(1, 2))
	some := func() (x id) { // of few lists
		x[0] = byte(random.IntN(2))
		binary.LittleEndian.PutUint64(x[2:], random.Uint64N(500))
		return x
	}
	for i := range 20_000 {
		switch x := some(); {
		case random.IntN(2) == 0 && i < 15_000:
			s.add(x)
			want[x]++
			isUnsure[x] = false
		case random.IntN(4) == 0 && want[x] > 0:
			s.doubt(x)
			isUnsure[x] = true
		default:
			s.remove(x)
			want[x] = max(0, want[x]-1)
			isUnsure[x] = true // if there is another one
		}
		y := some()
		if has, hasDurable := want[y] > 0, want[y] > 0 && !isUnsure[y]; s.has(y) != has || s.hasDurable(y) != hasDurable {
			t.Fatalf("has %v, %v, wants %v, %v", s.has(y), s.hasDurable(y), has, hasDurable)
		}
		if s.unsure[y] && !s.has(y) {
			t.Fatal("a doubt outlives its id")
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
