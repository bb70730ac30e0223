package stringify

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// A canonical body costs one allocation, the scanner's, whatever its size, as long as no more than 32
// members are open at once; with more of them, what they need, not what the text has.
func TestCanonicalAllocations(t *testing.T) {
	object := `{"a":1,"b":[true,null],"c":"d\n","e":{"f":-1.5e-7,"g":0.1},"h":0,"i":0,"j":0,"k":0,"l":0}`
	large := readSample(t, "flock/10-invitee.accepted-50k.json")
	for _, test := range []struct {
		name string
		text []byte
		most float64
	}{
		{"smallest", []byte("0"), 1},
		{"small", []byte(object), 1},
		{"usual", readSample(t, "frigade/05-completedStep-form-nested.json"), 1},
		{"512 KB of small objects", []byte("[" + strings.Repeat(object+",", 6000) + "0]"), 1},
		{"512 KB in one string", []byte(`"` + strings.Repeat("x", 512<<10) + `"`), 1},
		{"50 KB of large objects", large, 3},
		{"512 KB of large objects", []byte("[" + strings.Repeat(string(large)+",", 10) + "0]"), 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if &got[0] != &test.text[0] || len(got) != len(test.text) {
				t.Error("Parse copied a canonical text")
			}
			if n := testing.AllocsPerRun(5, func() { _, _ = Parse(test.text) }); n > test.most {
				t.Errorf("%v allocations, want %v at most", n, test.most)
			}
		})
	}
}

// No text, however made, takes more memory than a small multiple of its length. What is counted is
// all that was ever allocated; most of it is garbage before the end.
func TestMemory(t *testing.T) {
	const size, factor = 64 << 10, 32
	for _, in := range worst(size) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := Parse(in.text)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", in.name, err)
			continue
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > factor*size {
			t.Errorf("%s: %d bytes allocated for %d", in.name, allocated, len(in.text))
		}
		if again, err := Parse(got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: not canonical, %v", in.name, err)
		}
	}
}
