package stringify

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// A canonical body of any size costs one allocation, the scanner's, if the objects that are open at once
// have at most 32 members. With more, the memory is in proportion to the members, not to the text.
func TestCanonicalAllocations(t *testing.T) {
	object := `{"a":1,"b":[true,null],"c":"d\n","e":{"f":-1.5e-7,"g":0.1},"h":0,"i":0,"j":0,"k":0,"l":0}`
	large := readSample(t, "flock/samples/10-invitee.accepted-50k.json")
	for _, test := range []struct {
		name string
		text []byte
		most float64
	}{
		{"smallest", []byte("0"), 1},
		{"small", []byte(object), 1},
		{"usual", readSample(t, "frigade/samples/05-completedStep-form-nested.json"), 1},
		{"512 KB of small objects", []byte("[" + strings.Repeat(object+",", 6000) + "0]"), 1},
		{"512 KB in one string", []byte(`"` + strings.Repeat("x", 512<<10) + `"`), 1},
		{"50 KB of large objects", large, 3},
		{"512 KB of large objects", []byte("[" + strings.Repeat(string(large)+",", 10) + "0]"), 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.text)
			expect.NoError(t, err)
			if &got[0] != &test.text[0] || len(got) != len(test.text) {
				t.Error("Parse copied a canonical text")
			}
			if n := testing.AllocsPerRun(5, func() { _, _ = Parse(test.text) }); n > test.most {
				t.Errorf("%v allocations, want %v at most", n, test.most)
			}
		})
	}
}

// No text takes more memory than a small multiple of its length. All allocations count, although most
// are garbage before Parse returns.
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

// Size is an upper bound for the canonical form, and no more than a few times the text.
func TestSize(t *testing.T) {
	texts := worst(4 << 10)
	for _, number := range []string{
		"1e20", "-1e20", "1E20", "1e-6", "-1e-6", "123e18", "99999999999999999999", "999999999999999999999", "-99999999999999999999", "9999999999999999", "0.99999999999999999",
		"999999999999999.99", "1.0e0", "1.2345678901234567e-6", "-1.2345678901234567e-300", "-1.2345678901234567e-6", "1e21", "1e400", "-0", "0.00000012345678901234567",
	} {
		texts = append(texts, input{number, []byte("[ " + number + "]")})
	}
	for _, in := range texts {
		c, err := Check(in.text, false)
		if err != nil {
			t.Errorf("%s: %v", in.name, err)
			continue
		}
		size, text := c.Size(), c.Text()
		if size == 0 {
			if &text[0] != &in.text[0] {
				t.Errorf("%s: Size is 0, and the text is a copy", in.name)
			}
			continue
		}
		if cap(text) > size+size/8+16 { // the allocator rounds up
			t.Errorf("%s: %d bytes allocated, and Size is %d", in.name, cap(text), size)
		}
		if len(text) > size || size > 7*len(in.text) {
			t.Errorf("%s: the canonical form has %d bytes, Size is %d, and the text has %d", in.name, len(text), size, len(in.text))
		}
	}
}
