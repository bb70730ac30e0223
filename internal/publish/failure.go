package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error is why a message was not published.
type Error struct {
	Kind  error // ErrTooLarge, ErrRefused or ErrUnavailable
	Cause Cause
	Err   error
}

func (e *Error) Error() string   { return fmt.Sprintf("publishing: %v: %v", e.Kind, e.Err) }
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

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

// Causes lists every cause.
var Causes = []Cause{Disconnected, TimedOut, NoStream, WrongStream, StreamFull, NoStorage, Busy, Rejected, LookupFailed, SubjectFull, TooLarge, Forbidden, NoRoom}

// Remedy returns what a person must do; "" if the cause passes by itself.
func (c Cause) Remedy() string {
	switch c {
	case NoStream:
		return "the stream is gone or has no leader: see the log about it; with STREAM_MANAGE=false create it"
	case WrongStream:
		return "another stream or JetStream domain takes the subject: give it back to ours, or set STREAM_NAME or NATS_JS_DOMAIN"
	case StreamFull:
		return "the stream is full: raise its max_bytes or max_msgs, or remove old messages from it"
	case NoStorage:
		return "JetStream has no storage left, or the account's limits are reached: raise them, or remove old messages"
	case SubjectFull:
		return "the stream has a limit for each subject: raise max_msgs_per_subject"
	case TooLarge:
		return "raise max_payload of the server, or max_msg_size or max_bytes of the stream"
	case NoRoom:
		return "release or drop deliveries in quarantine, or raise QUARANTINE_MAX_BYTES"
	case Forbidden:
		return "grant our account publishing on the subject, see docs/operations.md"
	}
	return ""
}

// CauseOf returns the cause of a failed publish; "" if err isn't an [Error].
func CauseOf(err error) Cause {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Cause
	}
	return ""
}

// The server's error codes that are handled; nats-server's server/errors.json lists all.
const (
	codeAccountResources   = 10002 // the account's limits are reached
	codeClusterUnavailable = 10008
	codeNoResources        = 10023
	codeNotEnabledHere     = 10039 // for the account
	codeNoStorage          = 10047
	codeMessageTooLarge    = 10054 // larger than the stream's max_msg_size
	codeStreamNotFound     = 10059
	codeStreamMismatch     = 10060 // the subject belongs to another stream than expected
	codeNotEnabled         = 10076
	codeStoreFailed        = 10077 // the description says why, usually one of the limits
	codeInProcess          = 10158 // a message with the same id is just being stored
	codeTooManyRequests    = 10167
)

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
	switch api.ErrorCode {
	case codeMessageTooLarge:
		return TooLarge
	case codeStreamMismatch:
		return WrongStream
	case codeStreamNotFound, codeClusterUnavailable, codeNotEnabled, codeNotEnabledHere:
		return NoStream
	case codeAccountResources, codeNoResources, codeNoStorage:
		return NoStorage
	case codeInProcess, codeTooManyRequests:
		return Busy
	case codeStoreFailed:
		switch {
		case strings.Contains(api.Description, "per subject"):
			return SubjectFull
		case strings.Contains(api.Description, "maximum"):
			return StreamFull
		case strings.Contains(api.Description, "too large"): // above 32 MiB (nats-server, isFileStoreMsgTooLarge)
			return TooLarge
		}
		return NoStorage // the disk is full, or fails
	}
	return Rejected
}

// isStream reports whether the stream may have changed, so that it should be checked.
func (c Cause) isStream() bool {
	return c == NoStream || c == WrongStream || c == TooLarge || c == Rejected
}

// kind returns the cause's class, by which the caller decides what to do with the message.
func (c Cause) kind() error {
	switch c {
	case TooLarge:
		return ErrTooLarge
	case NoRoom:
		return ErrNoRoom
	case Forbidden, SubjectFull:
		return ErrRefused
	}
	return ErrUnavailable
}
