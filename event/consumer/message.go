package consumer

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
)

// Message is an event as it was delivered to this worker.
type Message struct {
	Event    event.Event
	Subject  string    // in NATS: webhooks.{endpoint}.{event}
	Stream   string    // that has it
	Durable  string    // the consumer
	Sequence uint64    // in the stream; a stream that is made anew begins with 1
	Stored   time.Time // when the stream stored it
	Attempt  int       // 1 is the first; one that a worker's death cut short counts, too
	Pending  uint64    // how many events wait behind it
}

// Trace is the span that published an event, for a consumer's span to link to.
type Trace struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte   // 1 means sampled
	State   string // tracestate, as it is
}

// Trace returns the event's trace; ok is false if it has none that can be read
// (https://www.w3.org/TR/trace-context/#traceparent-header).
func (m *Message) Trace() (t Trace, ok bool) {
	all, err := hex.DecodeString(strings.ReplaceAll(m.Event.TraceParent, "-", ""))
	if err != nil || len(all) != 26 || all[0] != 0 { // version, trace, span, flags
		return Trace{}, false
	}
	t = Trace{TraceID: [16]byte(all[1:17]), SpanID: [8]byte(all[17:25]), Flags: all[25], State: m.Event.TraceState}
	return t, t.TraceID != [16]byte{} && t.SpanID != [8]byte{}
}
