// Package durable has the words for one question: is this message safe? A [Message] is what must
// be kept, a [Status] says where it is safe, and an error says why it is not.
package durable

import "errors"

// Message is what is handed to NATS.
type Message struct {
	Subject string
	ID      string // JetStream's Nats-Msg-Id: two messages with one ID are one message
	Data    []byte
}

// Status says how a message became durable. The texts are part of the contract: the answer to a
// delivery bears them.
type Status string

// The ways in which a message is safe.
const (
	Stored    Status = "stored"    // JetStream acknowledged it
	Duplicate Status = "duplicate" // JetStream had it already
)

// The reasons for which a message is not safe. Who returns one wraps it together with its cause.
var (
	// ErrTooLarge: the stream or the server will never take a message of this size.
	ErrTooLarge = errors.New("message too large for NATS")
	// ErrUnavailable: it could not be made durable now; later it may. What isn't known to be
	// permanent is of this kind.
	ErrUnavailable = errors.New("cannot be made durable now")
)
