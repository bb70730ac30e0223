package inspect

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// ring holds the newest events, bounded in number and bytes. Each has a place, counted from 1.
type ring struct {
	mu      sync.Mutex
	entries []entry // oldest first
	next    uint64  // the place of the next one
	bytes   int
	changed chan struct{} // closed when one is added

	mostEntries, mostBytes int
}

// entry is an event as the page gets it.
type entry struct {
	text    []byte // JSON
	payload []byte // nil where the text has it
}

func (e entry) size() int { return len(e.text) + len(e.payload) }

// inline is how large a payload may be that every page gets; a larger one it asks for.
const inline = 16 << 10

func newRing(mostEntries, mostBytes int) *ring {
	return &ring{next: 1, changed: make(chan struct{}), mostEntries: mostEntries, mostBytes: mostBytes}
}

// add adds the entry that is made for its place, and drops the oldest as the bounds want it.
func (r *ring) add(entryAt func(place uint64) entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := entryAt(r.next)
	r.entries = append(r.entries, e)
	r.next++
	r.bytes += e.size()
	drop := 0
	for ; len(r.entries)-drop > r.mostEntries || r.bytes > r.mostBytes && len(r.entries)-drop > 1; drop++ {
		r.bytes -= r.entries[drop].size()
		r.entries[drop] = entry{}
	}
	r.entries = r.entries[drop:]
	close(r.changed)
	r.changed = make(chan struct{})
}

// first is the place of the oldest that is held.
func (r *ring) first() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - uint64(len(r.entries))
}

// after returns texts of what comes after the place, oldest first, some at a time, the place of the last of
// them, and a channel that is closed when there is more; nil where there is already. held is false where the
// one after the place isn't held any more.
func (r *ring) after(place uint64) (texts [][]byte, last uint64, more <-chan struct{}, held bool) {
	const mostBytes = 256 << 10
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next - uint64(len(r.entries))
	if place+1 < first {
		return nil, place, r.changed, false
	}
	size := 0
	for last = place; last+1 < r.next && size < mostBytes; last++ {
		text := r.entries[last+1-first].text
		texts = append(texts, text)
		size += len(text)
	}
	if last+1 < r.next {
		return texts, last, nil, true
	}
	return texts, last, r.changed, true
}

// payload returns a large payload.
func (r *ring) payload(place uint64) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next - uint64(len(r.entries))
	if place < first || place >= r.next {
		return nil, false
	}
	payload := r.entries[place-first].payload
	return payload, payload != nil
}

// shown is an event as the page gets it.
type shown struct {
	Place    uint64       `json:"place"`
	Sequence uint64       `json:"sequence"`
	Made     int64        `json:"made"` // which stream of that name, in Unix nanoseconds
	Subject  string       `json:"subject"`
	Stored   time.Time    `json:"stored"`
	Size     int          `json:"size"`
	Headers  [][2]string  `json:"headers,omitempty"`
	Event    *event.Event `json:"event,omitempty"`   // without its data
	Problem  string       `json:"problem,omitempty"` // why it is none of the bridge's events
	Payload  *string      `json:"payload,omitempty"`
}

func newEntry(place uint64, m stream.Message) entry {
	v := shown{
		Place: place, Sequence: m.Sequence, Made: m.Made.UnixNano(), Subject: m.Subject(), Stored: m.Stored,
		Size: len(m.Data()), Headers: headers(m.Headers()),
	}
	var e entry
	if v.Size <= inline && utf8.Valid(m.Data()) {
		payload := string(m.Data())
		v.Payload = &payload
	} else {
		e.payload = m.Data()
	}
	if read, err := event.Parse(m.Data()); err != nil {
		v.Problem = err.Error()
	} else {
		read.Data = nil
		v.Event = &read
	}
	e.text, _ = json.Marshal(v) // strings and numbers only
	return e
}

// headers are the message's headers by name, as far as they fit.
func headers(h nats.Header) (pairs [][2]string) {
	const most = 4 << 10
	size := 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if size += len(name) + len(value); size > most {
				return pairs
			}
			pairs = append(pairs, [2]string{name, value})
		}
	}
	return pairs
}
