package inspect

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// ring holds the newest events, bounded in number and bytes. Their places count from 1.
type ring struct {
	mu      sync.Mutex
	entries []entry // oldest first
	next    uint64  // the place of the next event
	bytes   int
	changed chan struct{} // closed when one is added

	maxEntries, maxBytes int
}

// entry is an event as sent to the page.
type entry struct {
	text    []byte // JSON
	payload []byte // nil if the text contains it
}

func (e entry) size() int { return len(e.text) + len(e.payload) }

// inline is the largest payload that is sent to every page. A page requests larger ones.
const inline = 16 << 10

func newRing(maxEntries, maxBytes int) *ring {
	return &ring{next: 1, changed: make(chan struct{}), maxEntries: maxEntries, maxBytes: maxBytes}
}

// add adds the entry that entryAt returns, and drops the oldest to keep the bounds.
func (r *ring) add(entryAt func(place uint64) entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := entryAt(r.next)
	r.entries = append(r.entries, e)
	r.next++
	r.bytes += e.size()
	drop := 0
	for ; len(r.entries)-drop > r.maxEntries || r.bytes > r.maxBytes && len(r.entries)-drop > 1; drop++ {
		r.bytes -= r.entries[drop].size()
		r.entries[drop] = entry{}
	}
	r.entries = r.entries[drop:]
	close(r.changed)
	r.changed = make(chan struct{})
}

// first returns the place of the oldest entry.
func (r *ring) first() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - uint64(len(r.entries))
}

// after returns the texts of some entries after the place, oldest first, and the place of the last
// of them. more is closed when another is added; it is nil if there are more already. held reports
// whether the entry after the place is still held.
func (r *ring) after(place uint64) (texts [][]byte, last uint64, more <-chan struct{}, held bool) {
	const maxBytes = 256 << 10
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next - uint64(len(r.entries))
	if place+1 < first {
		return nil, place, r.changed, false
	}
	size := 0
	for last = place; last+1 < r.next && size < maxBytes; last++ {
		text := r.entries[last+1-first].text
		texts = append(texts, text)
		size += len(text)
	}
	if last+1 < r.next {
		return texts, last, nil, true
	}
	return texts, last, r.changed, true
}

// payload returns a payload that the text doesn't contain.
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

// shown is an event as the page gets it, in JSON.
type shown struct {
	Place    uint64       `json:"place"`
	Sequence uint64       `json:"sequence"`
	Made     string       `json:"made"` // when the stream was created, in Unix nanoseconds
	Subject  string       `json:"subject"`
	Stored   time.Time    `json:"stored"`
	Size     int          `json:"size"`
	Headers  [][2]string  `json:"headers,omitempty"`
	Event    *event.Event `json:"event,omitempty"`   // without data
	Problem  string       `json:"problem,omitempty"` // why it can't be parsed as an event
	Payload  *string      `json:"payload,omitempty"`
}

func shownOf(m stream.Message) shown {
	v := shown{
		Sequence: m.Sequence, Made: strconv.FormatInt(m.Made.UnixNano(), 10), Subject: m.Subject(), Stored: m.Stored,
		Size: len(m.Data()), Headers: headers(m.Headers()),
	}
	if e, err := event.Parse(m.Data()); err != nil {
		v.Problem = err.Error()
	} else {
		e.Data = nil
		v.Event = &e
	}
	return v
}

func newEntry(place uint64, m stream.Message) (e entry) {
	v := shownOf(m)
	v.Place = place
	if v.Size <= inline && utf8.Valid(m.Data()) {
		payload := string(m.Data())
		v.Payload = &payload
	} else {
		e.payload = m.Data()
	}
	e.text, _ = json.Marshal(v) // strings and numbers only
	return e
}

// headers returns the message's headers by name, as many as fit.
func headers(h nats.Header) (pairs [][2]string) {
	const limit = 4 << 10
	size := 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if size += len(name) + len(value); size > limit {
				return pairs
			}
			pairs = append(pairs, [2]string{name, value})
		}
	}
	return pairs
}
