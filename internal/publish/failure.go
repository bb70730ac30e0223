package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error is why a message was not published. It wraps the reason to which its cause belongs, such as
// ErrUnavailable.
type Error struct {
	Cause Cause
	Err   error
}

func (e *Error) Error() string   { return fmt.Sprintf("publishing: %v: %v", causes[e.Cause].kind, e.Err) }
func (e *Error) Unwrap() []error { return []error{causes[e.Cause].kind, e.Err} }

// Cause is a label for the metrics: what prevented publishing.
type Cause string

// The causes.
const (
	Disconnected Cause = "disconnected" // there is no connection, or it broke before the acknowledgement
	TimedOut     Cause = "timeout"      // no acknowledgement in time
	NoStream     Cause = "no_stream"    // nobody answers on the subject: the stream is gone or not ready
	WrongStream  Cause = "wrong_stream" // another stream, or another JetStream domain, takes the subject
	StreamFull   Cause = "stream_full"  // bytes or messages, with discard new
	NoStorage    Cause = "no_storage"   // the account's or the server's storage is used up
	Busy         Cause = "busy"         // JetStream has too much to do just now
	Rejected     Cause = "rejected"     // another refusal by JetStream
	LookupFailed Cause = "lookup"       // the look-up of whether it is stored already has failed
	SubjectFull  Cause = "subject_full" // too many messages on this subject
	TooLarge     Cause = "too_large"
	Forbidden    Cause = "forbidden" // no permission to publish on this subject
	NoRoom       Cause = "no_room"   // in quarantine, for a refused delivery
)

// causes says what each cause means.
var causes = map[Cause]struct {
	kind    error  // by which the caller decides what to do with the message
	recheck bool   // the stream may have changed, so that it should be checked
	remedy  string // what a person must do; "": it passes by itself
}{
	Disconnected: {kind: ErrUnavailable},
	TimedOut:     {kind: ErrUnavailable},
	NoStream:     {ErrUnavailable, true, "the stream is gone or has no leader: see the log about it; with STREAM_MANAGE=false create it"},
	WrongStream:  {ErrUnavailable, true, "another stream or JetStream domain takes the subject: give it back to ours, or set STREAM_NAME or NATS_JS_DOMAIN"},
	StreamFull:   {ErrUnavailable, false, "the stream is full: raise its max_bytes or max_msgs, or remove old messages from it"},
	NoStorage:    {ErrUnavailable, false, "JetStream has no storage left, or the account's limits are reached: raise them, or remove old messages"},
	Busy:         {kind: ErrUnavailable},
	Rejected:     {kind: ErrUnavailable, recheck: true},
	LookupFailed: {kind: ErrUnavailable},
	SubjectFull:  {ErrRefused, false, "the stream has a limit for each subject: raise max_msgs_per_subject"},
	TooLarge:     {ErrTooLarge, true, "raise max_payload of the server, or max_msg_size or max_bytes of the stream"},
	Forbidden:    {ErrRefused, false, "grant our account publishing on the subject, see docs/operations.md"},
	NoRoom:       {ErrNoRoom, false, "release or drop deliveries in quarantine, or raise QUARANTINE_MAX_BYTES"},
}

// Causes lists every cause.
var Causes = slices.Sorted(maps.Keys(causes))

// Remedy returns what a person must do; "" if the cause passes by itself.
func (c Cause) Remedy() string { return causes[c].remedy }

// CauseOf returns the cause of a failed publish; "" if err isn't an [Error].
func CauseOf(err error) Cause {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Cause
	}
	return ""
}

// codeStoreFailed comes with a description that says why, usually one of the limits.
const codeStoreFailed = 10077

// codes are the causes by the server's error codes, of which nats-server's server/errors.json lists
// all.
var codes = map[jetstream.ErrorCode]Cause{
	10002: NoStorage, // the account's limits are reached
	10008: NoStream,  // the cluster is not available
	10023: NoStorage, // insufficient resources
	10027: NoStorage, // the account may have no more streams
	10039: NoStream,  // JetStream is not enabled for the account
	10047: NoStorage, // the server's storage is used up
	10054: TooLarge,  // larger than the stream's max_msg_size
	10059: NoStream,
	10060: WrongStream, // the subject belongs to another stream than expected
	10076: NoStream,    // JetStream is not enabled
	10158: Busy,        // a message with the same id is just being stored
	10167: Busy,        // too many requests
}

// classify returns the cause of a failed publish. Nothing else decides that. An unknown error
// counts as retriable.
func classify(err error) Cause {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		return refusal(api)
	case errors.Is(err, nats.ErrMaxPayload):
		return TooLarge
	case errors.Is(err, errForbidden):
		return Forbidden
	case errors.As(err, new(*foreignAck)), errors.Is(err, jetstream.ErrInvalidJSAck):
		return WrongStream
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return NoStream
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout), errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return TimedOut
	}
	return Disconnected // nats.go has a dozen errors for it
}

// refusal is classify for an error of JetStream.
func refusal(api *jetstream.APIError) Cause {
	is := func(text string) bool { return strings.Contains(api.Description, text) }
	switch cause, isKnown := codes[api.ErrorCode]; {
	case isKnown:
		return cause
	case api.ErrorCode != codeStoreFailed:
		return Rejected
	case is("per subject"):
		return SubjectFull
	case is("maximum"):
		return StreamFull
	case is("too large"): // above 32 MiB (nats-server, isFileStoreMsgTooLarge)
		return TooLarge
	}
	return NoStorage // the disk is full, or fails
}
