package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// The refusals of this package.
var (
	errNotFound        = errors.New("no such endpoint")
	ErrNotConfigured   = fmt.Errorf("%w", errNotFound) // but a vendor's default one
	ErrWrongPath       = errors.New("wrong path")      // nearly an endpoint's
	errMethod          = errors.New("method is not POST")
	errContentEncoding = errors.New("body is encoded, according to its Content-Encoding")
	errSlowBody        = errors.New("body did not arrive in time")
	errIncompleteBody  = errors.New("body ended early, or its chunks are malformed")
	errBodyTooLarge    = errors.New("body too large")
	errBusy            = errors.New("MAX_IN_FLIGHT_BYTES is used up, or a large body waited too long")
	ErrInternal        = errors.New("internal error") // a bug of the bridge
)

// Refusal is how a request is refused: status, code and title are for the sender, the outcome is
// for the log and the metrics.
type Refusal struct {
	err                  error
	Status               int
	Code, Title, Outcome string
}

// refusalOf returns the error's refusal.
func refusalOf(err error) Refusal {
	for i := range Refusals {
		if errors.Is(err, Refusals[i].err) {
			return Refusals[i]
		}
	}
	return Refusals[len(Refusals)-1]
}

// Refusals lists the refusals with their errors, the most frequent ones first. The first whose error
// matches counts; an error that matches none is internal. Senders can't tell signature failures apart.
var Refusals = []Refusal{
	{verify.NoSignature, http.StatusUnauthorized, "signature", "No valid signature", "signature_missing"},
	{verify.ManySignatures, http.StatusUnauthorized, "signature", "No valid signature", "signature_many"},
	{verify.MalformedSignature, http.StatusUnauthorized, "signature", "No valid signature", "signature_malformed"},
	{verify.WrongSignature, http.StatusUnauthorized, "signature", "No valid signature", "signature_wrong"},
	{verify.OtherScheme, http.StatusUnauthorized, "signature", "No valid signature", "signature_other_scheme"},
	{verify.Unreadable, http.StatusBadRequest, "unreadable", "The body can't be read as an event", "unreadable"},
	{verify.Contradiction, http.StatusUnauthorized, "signature", "No valid signature", "contradiction"},
	{verify.Stale, http.StatusUnauthorized, "stale", "The event is too old", "stale"},
	{verify.Future, http.StatusUnauthorized, "future", "The event's time is too far in the future", "future"},

	{errNotFound, http.StatusNotFound, "not_found", "No such endpoint", "not_found"},
	{ErrWrongPath, http.StatusNotFound, "not_found", "No such endpoint", "wrong_path"},
	{errMethod, http.StatusMethodNotAllowed, "method_not_allowed", "An endpoint takes POST only", "method_not_allowed"},
	{errContentEncoding, http.StatusUnsupportedMediaType, "content_encoding", "The body must not be encoded", "content_encoding"},
	{errSlowBody, http.StatusRequestTimeout, "body_timeout", "The body was not whole 5 seconds after the headers", "body_timeout"},
	{errBodyTooLarge, http.StatusRequestEntityTooLarge, "body_too_large", "The body is too large", "body_too_large"},
	{errBusy, http.StatusServiceUnavailable, "busy", "Too much in flight, try again", "busy"},

	{errIncompleteBody, http.StatusBadRequest, "body_incomplete", "The body ended early, or its chunks are malformed", "body_incomplete"},
	{stringify.ErrUTF8, http.StatusBadRequest, "not_utf8", "The body is not UTF-8", "not_utf8"},
	{stringify.ErrSyntax, http.StatusBadRequest, "not_json", "The body is not one JSON object", "not_json"},
	{verify.ErrNotObject, http.StatusBadRequest, "not_json", "The body is not one JSON object", "not_json"},
	{stringify.ErrDuplicate, http.StatusBadRequest, "duplicate_member", "A member of the body is given twice", "duplicate_member"},
	{stringify.ErrDepth, http.StatusBadRequest, "too_deep", "The body is nested too deep", "too_deep"},
	{verify.UnsignableDataShape, http.StatusBadRequest, "data_shape", "The signed member of the body is not an object with members", "data_shape"},

	{publish.ErrTooLarge, http.StatusRequestEntityTooLarge, "message_too_large", "The event is too large to store", "message_too_large"},
	{publish.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "The event can't be stored now, try again", "unavailable"},

	{ErrInternal, http.StatusInternalServerError, "internal", "Internal error", "internal"},
}

// appendAccepted appends the body of a 200. Nothing needs escaping: id is hexadecimal, and status a
// constant.
func appendAccepted(dst []byte, id string, status publish.Status) []byte {
	dst = append(append(dst, `{"id":"`...), id...)
	return append(append(append(dst, `","status":"`...), status...), `"}`...)
}

// appendProblem appends the body of any other answer (RFC 9457). The table's texts need no escaping.
func appendProblem(dst []byte, r Refusal) []byte {
	dst = append(append(dst, `{"title":"`...), r.Title...)
	dst = strconv.AppendInt(append(dst, `","status":`...), int64(r.Status), 10)
	return append(append(append(dst, `,"code":"`...), r.Code...), `"}`...)
}

// The values of Content-Type, shared by all answers.
var (
	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
)

// retryAfter is the Retry-After of a 503, in seconds.
const retryAfter = "5"

// answer writes the answer and completes the record.
func (d *delivery) answer(status publish.Status, err error) {
	if !d.conn.entry.verified {
		d.conn.setIdle() // already before the answer: its sender may never read it
	}
	if d.Stopping.Load() {
		d.w.Header().Set("Connection", "close")
	}
	if d.Err = err; err == nil {
		d.Outcome = string(status)
		d.write(http.StatusOK, typeJSON, appendAccepted(d.reply[:0], d.ID, status))
	} else {
		d.refuse(refusalOf(err))
	}
	d.Duration, d.Trace = time.Since(d.began), d.span.ID()
}

// refuse answers a request that is refused.
func (d *delivery) refuse(r Refusal) {
	d.Outcome, d.Code = r.Outcome, r.Code
	header := d.w.Header()
	switch r.Status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
	// Without draining, the rest of the body may still arrive. And over an open connection a sender
	// would never reach the instances that can still keep its events.
	if !d.drain() || r.Code == "unavailable" {
		header.Set("Connection", "close")
	}
	d.write(r.Status, typeProblem, appendProblem(d.reply[:0], r))
}

// answerWrite is the time for writing an answer, which fits into the socket's buffer unless the sender
// has left many unread.
const answerWrite = time.Second

// write writes an answer; net/http adds its length. Answers that follow each other closely on a
// connection share a deadline, which saves setting one for each.
func (d *delivery) write(status int, contentType []string, body []byte) {
	d.Status = status
	_ = d.conn.SetWriteDeadline(d.created.Add(time.Since(d.created).Truncate(answerWrite/4) + answerWrite))
	d.w.Header()["Content-Type"] = contentType
	d.w.WriteHeader(status)
	_, _ = d.w.Write(body) // the event is durable even if nobody reads the answer
	d.span.Answered(status, d.Outcome, d.Event.ID, d.Event.Type)
}
