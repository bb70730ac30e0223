package spool

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// FuzzDecode: a payload is refused, or decoding, encoding and decoding it again gives the same.
func FuzzDecode(f *testing.F) {
	r := Record{Message: message("a"), Seq: 1, Attempted: attempted, Reason: "why"}
	f.Add(r.payload())
	f.Add([]byte{})
	f.Add(append(make([]byte, 16), 0x80))                              // a length without an end
	f.Add(append(make([]byte, 16), bytes.Repeat([]byte{0xff}, 11)...)) // one beyond 64 bits
	f.Fuzz(func(t *testing.T, payload []byte) {
		var record, again Record
		if record.decode(payload) != nil {
			return
		}
		err := again.decode(record.payload())
		if diff := cmp.Diff(record, again, cmpopts.IgnoreUnexported(Record{})); err != nil || diff != "" {
			t.Errorf("written and read again: %v (-first +again):\n%s", err, diff)
		}
	})
}

// FuzzSegment: a record is found whatever surrounds it, and the reader reaches the end.
func FuzzSegment(f *testing.F) {
	whole := (&Record{Seq: 1, Message: message("a")}).append(nil, 7)
	f.Add([]byte{}, []byte{}, []byte("data"))
	f.Add(whole, whole[:40], []byte{})
	f.Add(bytes.Repeat(recordMagic, 9), whole[:27], recordMagic)
	f.Fuzz(func(t *testing.T, before, after, data []byte) {
		const seq = 1 << 60
		r := Record{Seq: seq, Message: long("b", data)}
		r.Kind = publish.Quarantined
		needle := r.append(nil, 7)
		m := newMemory()
		content := slices.Concat(before, needle, after)
		s := &segment{salt: 7, file: &memoryFile{m: m, i: &inode{live: content}}}
		s.end.Store(int64(len(content)))
		found, damage := false, int64(-1)
		c := cursor{position: position{segment: s}}
		c.damage = func(from, _ int64, _ error) {
			if from <= damage {
				t.Fatalf("damage at %d comes after that at %d", from, damage)
			}
			damage = from
		}
		last := uint64(0)
		for r, err := c.next(nil); err == nil; r, err = c.next(nil) {
			found = found || r.Seq == seq && bytes.Equal(r.Data, data)
			if r.Seq <= last {
				t.Fatalf("%d comes after %d", r.Seq, last)
			}
			last = r.Seq
		}
		if !found && last < seq {
			t.Error("the record isn't found")
		}
	})
}
