package inspect

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// ring holds the newest events, bounded in number and bytes. Their places count from 1.
type ring struct {
	mu      sync.Mutex
	texts   [][]byte // events as sent to the page, oldest first
	next    uint64   // the place of the next event
	bytes   int
	changed chan struct{} // closed when one is added

	maxEvents, maxBytes int
}

func newRing(maxEvents, maxBytes int) *ring {
	return &ring{next: 1, changed: make(chan struct{}), maxEvents: maxEvents, maxBytes: maxBytes}
}

// add adds the text that textAt returns, and drops the oldest to keep the bounds.
func (r *ring) add(textAt func(place uint64) []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := textAt(r.next)
	r.texts = append(r.texts, text)
	r.next++
	r.bytes += len(text)
	drop := 0
	for ; len(r.texts)-drop > r.maxEvents || r.bytes > r.maxBytes && len(r.texts)-drop > 1; drop++ {
		r.bytes -= len(r.texts[drop])
		r.texts[drop] = nil
	}
	r.texts = r.texts[drop:]
	close(r.changed)
	r.changed = make(chan struct{})
}

// first returns the place of the oldest event.
func (r *ring) first() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - uint64(len(r.texts))
}

// after returns the texts of some events after the place, oldest first, and the place of the last
// of them. more is closed when another is added; it is nil if there are more already. held reports
// whether the event after the place is still held.
func (r *ring) after(place uint64) (texts [][]byte, last uint64, more <-chan struct{}, held bool) {
	const maxBytes = 256 << 10
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.next - uint64(len(r.texts))
	if place+1 < first {
		return nil, place, r.changed, false
	}
	size := 0
	for last = place; last+1 < r.next && size < maxBytes; last++ {
		text := r.texts[last+1-first]
		texts = append(texts, text)
		size += len(text)
	}
	if last+1 < r.next {
		return texts, last, nil, true
	}
	return texts, last, r.changed, true
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
	Payload  string       `json:"payload"`           // bytes that aren't UTF-8 are replaced
}

func shownOf(m stream.Message) shown {
	v := shown{
		Sequence: m.Sequence, Made: strconv.FormatInt(m.Made.UnixNano(), 10), Subject: m.Subject(), Stored: m.Stored,
		Size: len(m.Data()), Headers: headers(m.Headers()), Payload: strings.ToValidUTF8(string(m.Data()), "\uFFFD"),
	}
	if e, err := event.Parse(m.Data()); err != nil {
		v.Problem = err.Error()
	} else {
		e.Data = nil
		v.Event = &e
	}
	return v
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
