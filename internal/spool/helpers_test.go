package spool

import (
	"cmp"
	"slices"

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
func (f *fixture) everything() (found []kept) {
	f.t.Helper()
	for kind := range publish.Kinds {
		found = append(found, f.rest(false, func(after uint64) ([]Record, error) { return f.Next(publish.Kind(kind), after, 7, maxBytes) })...)
	}
	found = append(found, f.rest(true, func(after uint64) ([]Record, error) { return f.SetAside(after, 7) })...)
	return found
}

func (f *fixture) rest(aside bool, next func(after uint64) ([]Record, error)) (found []kept) {
	f.t.Helper()
	for after := uint64(0); ; {
		records, err := next(after)
		expect.NoError(f.t, err)
		if len(records) == 0 {
			return found
		}
		for _, r := range records {
			found = append(found, kept{r, aside})
			after = r.Seq
		}
	}
}

func payload(m publish.Message) []byte { return (&Record{Message: m}).payload() }

func (r *Record) append(b []byte, salt uint32) []byte { return appendRaw(b, *r, r.payload(), salt) }

// appendRaw appends a record with that payload.
func appendRaw(b []byte, r Record, payload []byte, salt uint32) []byte {
	return append(r.appendHeader(b, payload, salt), payload...)
}
