package publish

import (
	"errors"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
)

// Message is what is handed to NATS.
type Message struct {
	Kind    Kind
	Subject string
	ID      string   // JetStream's Nats-Msg-Id: two messages of a kind with one ID are one message
	Headers []Header // besides those that publishing adds, no name twice; ASCII without line breaks
	Data    []byte
	Arrived time.Time // at this instance; with ID it tells one delivery of an event from another
}

// Header is one header of a message.
type Header struct{ Name, Value string }

// Kind says what a message is, and with that for which of the two streams.
type Kind uint8

// The kinds of messages.
const (
	Event       Kind = iota // for the stream that consumers read
	Quarantined             // a delivery that was answered 200 and is kept for somebody to look at (section 8 of the contract)
	Refused                 // one that was answered 401 and is kept in the same stream, where it never takes a Quarantined one's room

	Kinds = 3 // how many there are
)

// String is the kind as metrics, logs and commands name it.
func (k Kind) String() string {
	switch k {
	case Event:
		return "event"
	case Quarantined:
		return "quarantine"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// Status says how a message became durable. The texts are part of the contract: the answer to a
// delivery bears them.
type Status string

// The ways in which a message is safe.
const (
	Stored    Status = "stored"      // JetStream acknowledged it
	Duplicate Status = "duplicate"   // JetStream had it already
	Spooled   Status = "spooled"     // on this instance's disk, synced; JetStream gets it later
	Kept      Status = "quarantined" // signed, but no event: it is in quarantine, by any of the ways above
)

// The reasons for which a message is not safe. Who returns one wraps it together with its cause.
var (
	// ErrTooLarge: the stream or the server will never take a message of this size.
	ErrTooLarge = errors.New("message too large for NATS")
	// ErrNoRoom: it is Refused, and the quarantine has no room that it could take. It isn't kept.
	ErrNoRoom = errors.New("no room in quarantine for what was refused")
	// ErrRefused: NATS refuses this one message while it takes others: its subject is forbidden, say.
	ErrRefused = errors.New("refused by NATS")
	// ErrUnavailable: it could not be made durable now; later it may. What isn't known to be
	// permanent is of this kind.
	ErrUnavailable = errors.New("cannot be made durable now")
)

var eventHeaders = []Header{{Name: "Content-Type", Value: event.ContentType}}

// NewMessage returns the message that carries an endpoint's event. The prefix begins its subject. Its data is
// appended to room.
func NewMessage(prefix, endpoint string, of *event.Event, room []byte) Message {
	headers := eventHeaders
	if of.TraceParent != "" {
		headers = append(slices.Clip(headers), Header{Name: "traceparent", Value: of.TraceParent})
	}
	if of.TraceState != "" {
		headers = append(slices.Clip(headers), Header{Name: "tracestate", Value: of.TraceState})
	}
	return Message{
		Kind:    Event,
		Subject: event.Subject(prefix, endpoint, of.Event),
		ID:      of.ID,
		Headers: headers,
		Data:    of.Append(room),
	}
}
