package publish

import (
	"errors"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// failure is what an error of publishing means.
type failure struct {
	kind   error // durable.ErrTooLarge, or durable.ErrUnavailable: what isn't known to be permanent is retriable
	stream bool  // whether the stream should be looked after
}

// The server's error codes that mean something to us; its errors.json lists them all.
const (
	codeMessageTooLarge = 10054 // larger than the stream's max_msg_size
	codeStreamMismatch  = 10060 // the subject belongs to another stream than expected
	codeStreamNotFound  = 10059
)

// meaning is the one place that decides what a failed publish means.
func meaning(err error) failure {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return failure{kind: durable.ErrTooLarge}
	case errors.As(err, &api) && api.ErrorCode == codeMessageTooLarge:
		return failure{kind: durable.ErrTooLarge, stream: true} // its limit was another when we looked
	case errors.As(err, &api) && slices.Contains([]jetstream.ErrorCode{codeStreamMismatch, codeStreamNotFound}, api.ErrorCode):
		return failure{kind: durable.ErrUnavailable, stream: true}
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return failure{kind: durable.ErrUnavailable, stream: true} // nobody listens: it is gone, or not ready
	}
	return failure{kind: durable.ErrUnavailable}
}
