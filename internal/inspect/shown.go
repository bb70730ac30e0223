package inspect

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// shown is a message of the stream in the page's JSON.
type shown struct {
	Sequence      uint64       `json:"sequence"`
	StreamCreated time.Time    `json:"streamCreated"`
	Subject       string       `json:"subject"`
	Stored        time.Time    `json:"stored"`
	Size          int          `json:"size"`
	Headers       nats.Header  `json:"headers,omitempty"`
	Event         *event.Event `json:"event,omitempty"`   // without data
	Problem       string       `json:"problem,omitempty"` // why it can't be parsed as an event
	Payload       string       `json:"payload"`           // bytes that aren't UTF-8 are replaced
}

func shownOf(m stream.Message) shown {
	v := shown{
		Sequence: m.Sequence, StreamCreated: m.StreamCreated, Subject: m.Subject(), Stored: m.Stored,
		Size: len(m.Data()), Headers: m.Headers(), Payload: strings.ToValidUTF8(string(m.Data()), "\uFFFD"),
	}
	if e, err := event.Parse(m.Data()); err != nil {
		v.Problem = err.Error()
	} else {
		e.Data = nil
		v.Event = &e
	}
	return v
}
