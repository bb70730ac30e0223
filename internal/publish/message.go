package publish

import (
	"errors"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
)

// Message is a message to be published.
type Message struct {
	Kind    Kind
	Subject string
	ID      string   // JetStream's Nats-Msg-Id: messages of one kind with the same ID are copies
	Headers []Header // besides those that a Publisher adds; names differ, and all is ASCII without line breaks
	Data    []byte
	Arrived time.Time // when it arrived at this instance
}

// Delivery identifies one delivery of an event to this instance. Other deliveries of the event have other
// times of arrival; the clock needn't be correct.
type Delivery struct {
	Kind    Kind
	ID      string
	Arrived int64 // Unix nanoseconds, as in the spool
}

// Delivery returns the delivery that the message is of.
func (m Message) Delivery() Delivery { return Delivery{m.Kind, m.ID, m.Arrived.UnixNano()} }

// Header is one header of a message.
type Header struct{ Name, Value string }

// Kind is the kind of a message, which decides its stream.
type Kind uint8

// The kinds of messages.
const (
	Event       Kind = iota // for the stream that consumers read
	Quarantined             // for the quarantine: a delivery that was answered 200
	Refused                 // for the quarantine: a delivery that was answered 401; it never displaces a Quarantined one

	Kinds = 3 // the number of kinds
)

// String returns the kind's name in metrics, logs and commands.
func (k Kind) String() string { return [Kinds]string{"event", "quarantine", "refused"}[k] }

// Status is how a message became durable. Its text is part of the answer to a delivery.
type Status string

// The statuses.
const (
	Stored    Status = "stored"      // JetStream acknowledged it
	Duplicate Status = "duplicate"   // JetStream had it already
	Spooled   Status = "spooled"     // synced to this instance's disk; JetStream gets it later
	Kept      Status = "quarantined" // signed, but can't be read as an event: durable in the quarantine or the spool
)

// The reasons why a message isn't durable. Errors wrap one of them and its cause.
var (
	// ErrTooLarge means that the stream or the server never takes a message of this size.
	ErrTooLarge = errors.New("message too large for NATS")
	// ErrNoRoom means that the quarantine has no room for a message of kind Refused.
	ErrNoRoom = errors.New("no room in quarantine for a refused delivery")
	// ErrRefused means that NATS refuses this message but takes others: its subject is forbidden,
	// for example.
	ErrRefused = errors.New("refused by NATS")
	// ErrUnavailable means that the message can't be made durable now, but perhaps later. Unknown
	// errors count as this one.
	ErrUnavailable = errors.New("cannot be made durable now")
)

var eventHeaders = []Header{{Name: "Content-Type", Value: event.ContentType}}

// NewMessage returns the message that carries an endpoint's event. The prefix begins its subject.
func NewMessage(prefix, endpoint string, of *event.Event) Message {
	headers := eventHeaders
	if of.TraceParent != "" {
		headers = append(slices.Clip(headers), Header{Name: "traceparent", Value: of.TraceParent})
	}
	if of.TraceState != "" {
		headers = append(slices.Clip(headers), Header{Name: "tracestate", Value: of.TraceState})
	}
	subject := event.Subject(prefix, endpoint, of.Event)
	return Message{Kind: Event, Subject: subject, ID: of.ID, Headers: headers, Data: of.Encode()}
}
