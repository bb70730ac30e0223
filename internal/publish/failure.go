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

// Error says why a message was not published. It wraps the reason of its cause, such as ErrUnavailable.
type Error struct {
	Cause Cause
	Err   error
}

func (e *Error) Error() string {
	return fmt.Sprintf("publishing: %v: %v", causes[e.Cause].reason, e.Err)
}
func (e *Error) Unwrap() []error { return []error{causes[e.Cause].reason, e.Err} }

// Cause is why publishing failed, as a label for the metrics.
type Cause string

// The causes.
const (
	Disconnected Cause = "disconnected"  // there is no connection, or it broke before the acknowledgement
	TimedOut     Cause = "timeout"       // no acknowledgement in time
	NoStream     Cause = "no_stream"     // nobody answers on the subject: the stream is gone or not ready
	WrongStream  Cause = "wrong_stream"  // another stream, or another JetStream domain, takes the subject
	StreamFull   Cause = "stream_full"   // bytes or messages, with discard new
	NoStorage    Cause = "no_storage"    // the account's or the server's storage is used up
	Busy         Cause = "busy"          // JetStream has too much to do, or the quarantine's stream must be checked first
	Rejected     Cause = "rejected"      // another refusal by JetStream
	LookupFailed Cause = "lookup"        // looking up whether it is stored already has failed
	SubjectFull  Cause = "subject_full"  // too many messages on this subject
	OtherSubject Cause = "other_subject" // the stream doesn't take the subject, which is of an earlier configuration
	TooLarge     Cause = "too_large"
	Forbidden    Cause = "forbidden" // no permission to publish on this subject
	NoRoom       Cause = "no_room"   // the quarantine has no room for a refused delivery
)

// causes describes each cause.
var causes = map[Cause]struct {
	reason  error  // says what the caller should do with the message
	recheck bool   // the stream may have changed and should be checked
	remedy  string // what somebody must do; "": it passes by itself
}{
	Disconnected: {reason: ErrUnavailable},
	TimedOut:     {reason: ErrUnavailable},
	NoStream:     {ErrUnavailable, true, "the stream is gone or has no leader: see the log about it; with STREAM_MANAGE=false create it"},
	WrongStream:  {ErrUnavailable, true, "another stream or domain takes the subject: change that, or set STREAM_NAME or NATS_JS_DOMAIN"},
	StreamFull:   {ErrUnavailable, false, "the stream is full: raise its max_bytes or max_msgs, or remove old messages from it"},
	NoStorage:    {ErrUnavailable, false, "storage or a limit of the account is used up: raise it, or remove old messages"},
	Busy:         {reason: ErrUnavailable},
	Rejected:     {reason: ErrUnavailable, recheck: true},
	LookupFailed: {reason: ErrUnavailable},
	SubjectFull:  {ErrRefused, false, "the stream has a limit for each subject: raise max_msgs_per_subject, or remove it with discard_new_per_subject"},
	OtherSubject: {ErrRefused, false, "add the subject to the stream, or stop the bridge and drain the spool with the SUBJECT_PREFIX and STREAM_NAME with which it was written"},
	TooLarge:     {ErrTooLarge, true, "raise max_payload of the server (the embedded one's is fixed: set NATS_URL), or max_msg_size or max_bytes of the stream"},
	Forbidden:    {ErrRefused, false, "allow our account to publish on the subject, see docs/operations.md"},
	NoRoom:       {ErrNoRoom, false, "release or drop deliveries in quarantine, or raise QUARANTINE_MAX_BYTES"},
}

// Causes lists every cause.
var Causes = slices.Sorted(maps.Keys(causes))

// Remedy returns what somebody must do; "" if the cause passes by itself.
func (c Cause) Remedy() string { return causes[c].remedy }

// CauseOf returns the cause of a failed publish; "" if err isn't an [Error].
func CauseOf(err error) Cause {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Cause
	}
	return ""
}

const (
	codeStoreFailed = 10077 // its description says why, usually because of a limit
	// A copy of the message is being stored. If that has failed, nats-server 2.10 may say so for as long as
	// the duplicate window, so the message must not hold up others: it counts as Rejected.
	codeInProcess = 10158
)

// codes maps the server's error codes to causes. nats-server's server/errors.json lists all codes.
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
	10167: Busy,        // too many requests
}

// classify returns the cause of a failed publish. An unknown error counts as retriable.
func classify(err error) Cause {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		return classifyAPI(api)
	case errors.Is(err, nats.ErrMaxPayload):
		return TooLarge
	case errors.As(err, new(*foreignAck)), errors.Is(err, jetstream.ErrInvalidJSAck):
		return WrongStream
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return NoStream
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return TimedOut
	}
	return Disconnected // nats.go has a dozen errors for it
}

// classifyAPI is classify for an error from JetStream.
func classifyAPI(api *jetstream.APIError) Cause {
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
