package spool

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// model is the expected behaviour of a spool: plain lists.
type model struct {
	f     *fixture
	disk  *memory
	queue [publish.Kinds][]kept
	aside []kept
}

// TestModel does the same random operations to a spool and to plain lists, and compares them.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{disk: newMemory()}
		m.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"":        m.compare,
			"append":  m.append,
			"settle":  m.settle,
			"discard": m.discard,
			"reopen":  func(t *rapid.T) { m.reopen(t) },
		})
	})
}

func (m *model) open(t *rapid.T) {
	m.f = open(t, "spool", func(c *Config) { c.disk, c.segmentSize = m.disk, 20000 })
}

func (m *model) reopen(t *rapid.T) {
	expect.NoError(t, m.f.Close(t.Context()))
	m.open(t)
}

func (m *model) append(t *rapid.T) {
	message := long(fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id")), make([]byte, rapid.SampledFrom([]int{0, 1, 100, 1000, 5000, 20000}).Draw(t, "size")))
	message.Kind = publish.Kind(rapid.IntRange(0, publish.Kinds-1).Draw(t, "kind"))
	if rapid.Bool().Draw(t, "headers") {
		message.Headers = []publish.Header{{Name: "A", Value: "b"}, {Name: "C", Value: ""}}
	}
	expect.NoError(t, m.f.Append(t.Context(), message, attempted))
	same := func(k kept) bool { return k.ID == message.ID && k.Kind == message.Kind }
	if slices.ContainsFunc(m.queue[message.Kind], same) || slices.ContainsFunc(m.aside, same) {
		return
	}
	m.queue[message.Kind] = append(m.queue[message.Kind], kept{Record{Message: message, Attempted: attempted}, false})
}

func (m *model) settle(t *rapid.T) {
	kind := publish.Kind(rapid.IntRange(0, publish.Kinds-1).Draw(t, "kind"))
	queue := m.queue[kind]
	n := rapid.IntRange(0, len(queue)).Draw(t, "settled")
	if n == 0 {
		return
	}
	reasons := make(map[uint64]string)
	records, err := m.f.Next(kind, 0, n, maxBytes)
	for len(records) < n && err == nil {
		var more []Record
		more, err = m.f.Next(kind, records[len(records)-1].Seq, n-len(records), maxBytes)
		records = append(records, more...)
	}
	expect.NoError(t, err)
	for i, k := range queue[:n] {
		k.Seq = records[i].Seq
		if rapid.IntRange(0, 4).Draw(t, "aside") == 0 {
			reasons[k.Seq] = fmt.Sprint("because ", k.Seq)
			k.Aside, k.Reason = true, reasons[k.Seq]
			m.aside = append(m.aside, k)
		}
	}
	m.queue[kind] = queue[n:]
	expect.NoError(t, m.f.Settle(kind, withReasons(records, reasons)))
	m.settled(t)
}

func (m *model) discard(t *rapid.T) {
	if len(m.aside) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.aside)-1).Draw(t, "discarded")
	records, err := m.f.SetAside(0, 1<<20)
	expect.NoError(t, err)
	expect.NoError(t, m.f.Discard([]uint64{records[i].Seq}))
	m.aside = slices.Concat(m.aside[i+1:], m.aside[:i]) // those before it move to the end
	m.settled(t)
}

// settled waits until the spool's counts are the model's.
func (m *model) settled(t *rapid.T) {
	t.Helper()
	poll.Until(t, "all is on disk", func() bool {
		is := m.f.Stats()
		for kind, n := range is.Queued {
			if n != int64(len(m.queue[kind])) {
				return false
			}
		}
		return is.SetAside == int64(len(m.aside)) && is.Bytes == m.bytes()
	})
}

func (m *model) bytes() (n int64) {
	for _, k := range m.all() {
		n += int64(len(k.append(nil, 0)))
	}
	return n
}

func (m *model) all() []kept {
	return slices.Concat(append(slices.Clone(m.queue[:]), m.aside)...)
}

func (m *model) compare(t *rapid.T) {
	want := m.all()
	if found := m.f.everything(); !same(want, found) || !slices.IsSortedFunc(found, bySeq) {
		t.Fatalf("it holds\n%+v\nand should hold\n%+v", found, want)
	}
	poll.Until(t, "the last write has succeeded", func() bool { return m.f.Stats().Err == nil }) // a machine may stand still during one
	stats := m.f.Stats()
	if stats.SetAside != int64(len(m.aside)) || stats.Bytes != m.bytes() {
		t.Fatalf("stats: %+v; %d set aside, %d bytes", stats, len(m.aside), m.bytes())
	}
	for kind := range publish.Kinds {
		if n := m.f.Len(publish.Kind(kind)); n != int64(len(m.queue[kind])) {
			t.Fatalf("kind %d: %d records instead of %d", kind, n, len(m.queue[kind]))
		}
	}
	for id := range 31 {
		for kind := range publish.Kinds {
			is := func(k kept) bool { return k.ID == fmt.Sprint(id) && int(k.Kind) == kind }
			if held := m.f.Holds(publish.Kind(kind), fmt.Sprint(id)); held != slices.ContainsFunc(want, is) {
				t.Fatalf("holds %d of kind %d: %v", id, kind, held)
			}
		}
	}
	if logs := m.f.logs.All(); len(logs) > 0 {
		t.Fatalf("it logged %v", logs)
	}
}
