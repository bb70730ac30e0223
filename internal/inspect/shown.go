package inspect

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// shown is a message of the stream in the page's JSON.
type shown struct {
	Place         uint64       `json:"place"` // in the ring; 0: none
	Sequence      uint64       `json:"sequence"`
	StreamCreated time.Time    `json:"streamCreated"`
	Subject       string       `json:"subject"`
	Stored        time.Time    `json:"stored"`
	Size          int          `json:"size"`
	Headers       [][2]string  `json:"headers,omitempty"`
	Event         *event.Event `json:"event,omitempty"`   // without data
	Problem       string       `json:"problem,omitempty"` // why it can't be parsed as an event
	Payload       string       `json:"payload"`           // bytes that aren't UTF-8 are replaced
}

func shownOf(m stream.Message) shown {
	v := shown{
		Sequence: m.Sequence, StreamCreated: m.StreamCreated, Subject: m.Subject(), Stored: m.Stored,
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
