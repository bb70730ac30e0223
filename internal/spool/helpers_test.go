package spool

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// kept is a record with its place.
type kept struct {
	Record
	Aside bool
}

func bySeq(a, b kept) int {
	if a.Aside != b.Aside || a.Kind != b.Kind {
		return 0
	}
	return cmp.Compare(a.Seq, b.Seq)
}

// same compares all but the numbers. It is much quicker than cmp.Diff.
func same(a, b []kept) bool {
	return slices.EqualFunc(a, b, func(a, b kept) bool {
		return a.Aside == b.Aside && a.Kind == b.Kind && a.ID == b.ID && a.Subject == b.Subject && a.Reason == b.Reason &&
			a.Arrived.Equal(b.Arrived) && a.Attempted.Equal(b.Attempted) && slices.Equal(a.Headers, b.Headers) && string(a.Data) == string(b.Data)
	})
}

// everything returns all records: each queue in order, then those set aside.
func (f *fixture) everything() []kept {
	f.t.Helper()
	found, err := f.listing()
	expect.NoError(f.t, err)
	return found
}

// listing is like everything, and returns what was found before an error.
func (f *fixture) listing() (found []kept, err error) {
	rest := func(aside bool, next func(after uint64) ([]Record, error)) {
		for after := uint64(0); err == nil; {
			var records []Record
			if records, err = next(after); len(records) == 0 {
				return
			}
			for _, r := range records {
				found = append(found, kept{r, aside})
				after = r.Seq
			}
		}
	}
	for kind := range publish.Kinds {
		rest(false, func(after uint64) ([]Record, error) { return f.Next(publish.Kind(kind), after, 7, maxBytes) })
	}
	rest(true, func(after uint64) ([]Record, error) { return f.SetAside(after, 7) })
	return found, err
}

// recordsIn returns the records in a file.
func recordsIn(path string, i *inode) (records []Record) {
	_, _, salt, _ := parseName(strings.TrimSuffix(filepath.Base(path), damagedSuffix))
	s := &segment{salt: salt, file: &memoryFile{m: newMemory(), i: i}}
	s.end.Store(int64(len(i.live)))
	c := cursor{position: position{segment: s}, damage: func(int64, int64, error) {}}
	for r, err := c.next(nil); err == nil; r, err = c.next(nil) {
		r.Data = slices.Clone(r.Data)
		records = append(records, r)
	}
	return records
}

func payload(m publish.Message) []byte { return (&Record{Message: m}).payload() }

func (r *Record) append(b []byte, salt uint32) []byte { return appendRaw(b, *r, r.payload(), salt) }

// appendRaw appends a record with that payload.
func appendRaw(b []byte, r Record, payload []byte, salt uint32) []byte {
	return append(r.appendHeader(b, payload, salt), payload...)
}
