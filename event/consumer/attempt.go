package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event"
)

// Message is an event as it was delivered to this worker.
type Message struct {
	Event    event.Event // its TraceParent and TraceState name the span to link to (docs/tracing.md)
	Payload  []byte      // the event's text
	Subject  string      // in NATS: webhooks.{endpoint}.{event}
	Stream   string      // the stream that has it
	Durable  string      // the consumer
	Sequence uint64      // in the stream; a stream that was deleted and made again begins with 1
	Stored   time.Time   // when the stream stored it
	Attempt  int         // 1 is the first; an attempt counts even if its worker died
	Pending  uint64      // how many events wait behind it
}

type permanent struct{ error }

// Permanent marks an error that no later attempt can mend: the event becomes a dead letter at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

func (p *permanent) Unwrap() error { return p.error }

// errLate marks the error of a handler that ended after another worker could have got its event.
var errLate = errors.New("the handler ended too late to count")

// attempt handles one delivery of an event. It ends with an acknowledgement, a later attempt or a
// dead letter. When the worker dies before that, the server delivers the event again.
func (w *worker) attempt(ctx context.Context, raw jetstream.Msg) {
	began := time.Now()
	meta, err := raw.Metadata()
	if err != nil { // not of JetStream
		return
	}
	if len(raw.Data()) == 0 && raw.Headers().Get(jetstream.MarkerReasonHeader) != "" { // of a stream with subject_delete_marker_ttl: no event
		_ = raw.Ack() // if it is lost, the marker comes again
		return
	}
	m := &Message{
		Payload: raw.Data(), Subject: raw.Subject(), Stream: meta.Stream, Durable: w.Durable, Sequence: meta.Sequence.Stream,
		Stored: meta.Timestamp, Attempt: int(meta.NumDelivered), Pending: meta.NumPending,
	}
	m.Event, err = event.Parse(raw.Data())
	log := w.Logger.With("id", m.Event.ID, "subject", m.Subject, "sequence", m.Sequence, "attempt", m.Attempt)
	if err = Permanent(err); err == nil {
		err = w.handle(ctx, log, raw, m)
	}
	outcome, answer := "handled", raw.Ack
	if err != nil {
		outcome, answer, err = w.failed(ctx, log, raw, m, err)
	}
	if w.Observer != nil {
		func() {
			defer recovered(log, "the observer panicked", new(error)) // otherwise its bug would repeat the event for ever
			w.Observer(m, outcome, time.Since(began), err)
		}()
	}
	if err := answer(); err != nil {
		log.Warn("acknowledging failed, so the event comes again", "error", err)
	}
}

// recovered turns a panic into an error and logs it with its stack. Defer it.
func recovered(log *slog.Logger, what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %v", what, p)
		log.Error(what, "panic", p, "stack", string(debug.Stack()))
	}
}

// failed makes a dead letter of an event that will always fail, or leaves it for a later attempt. It
// returns the outcome, the function that answers the server, and the error for the observer.
func (w *worker) failed(ctx context.Context, log *slog.Logger, raw jetstream.Msg, m *Message, err error) (string, func() error, error) {
	pause := min(w.Backoff<<min(m.Attempt-1, 16), maxBackoff)
	answer := func() error { return raw.NakWithDelay(pause) }
	var final *permanent
	if errors.Is(err, errLate) {
		answer = func() error { return nil } // a nak would give the event to yet another worker
	} else if errors.As(err, &final) || m.Attempt >= w.MaxAttempts {
		unstored := w.storeDeadLetter(ctx, raw, m, err)
		if unstored == nil {
			log.Error("dead letter", "reason", err)
			return "dead", raw.Term, err
		}
		err, pause = fmt.Errorf("%w: %w", unstored, err), max(pause, 5*time.Second)
	}
	log.Warn("failed, to be tried again", "error", err, "pause", pause.String())
	return "retried", answer, err
}

// handle calls the handler, unless there were too many attempts: an event may kill every worker that
// handles it.
func (w *worker) handle(ctx context.Context, log *slog.Logger, raw jetstream.Msg, m *Message) (err error) {
	if m.Attempt > w.MaxAttempts {
		return Permanent(fmt.Errorf("delivered %d times, and never handled to the end: see the workers' logs", m.Attempt-1))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.Timeout, fmt.Errorf("the handler took longer than %s", w.Timeout))
	told := make(chan time.Time, 1)
	go func() { told <- w.sendProgress(ctx, log, raw) }()
	defer func() {
		cancel()
		// The server counts from when it sent the event, which a busy machine notices late: hence a third less.
		if time.Since(<-told) >= w.AckWait*2/3 && err != nil {
			err = fmt.Errorf("%w: %w", errLate, err)
		}
	}()
	defer recovered(log, "the handler panicked", &err)
	if err = w.handler(ctx, m); err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// sendProgress tells the server that the event is being handled, until the handler returns or has taken
// too long. It returns when the server was last told: AckWait later, another worker gets the event.
func (w *worker) sendProgress(ctx context.Context, log *slog.Logger, raw jetstream.Msg) time.Time {
	last := time.Now()
	for !within(w.AckWait/3, ctx.Done()) {
		if w.js.Conn().IsConnected() && time.Since(last) < w.AckWait && raw.InProgress() == nil { // later, another worker may have it
			last = time.Now()
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		log.Error("the handler takes longer than its time-out; no other event is begun in its place until it returns")
	}
	return last
}

// storeDeadLetter stores the message as a dead letter. Its id is made of the message's position, so within
// the duplicate window of the stream of dead letters it is stored once.
func (w *worker) storeDeadLetter(ctx context.Context, raw jetstream.Msg, m *Message, why error) error {
	prefix := w.SubjectPrefix + "-dead." + m.Durable + "."
	if strings.HasPrefix(m.Subject, prefix) {
		return nil // it is a dead letter of this durable, which would get the new one too
	}
	reason := strconv.QuoteToASCII(why.Error()) // what a header can hold
	dead := nats.Header{}
	for name, value := range map[string]any{
		"Content-Type": raw.Headers().Get("Content-Type"), "Dead-Reason": reason[1:min(len(reason)-1, 500)], "Dead-Attempts": m.Attempt,
		"Dead-Durable": m.Durable, "Dead-Stream": m.Stream, "Dead-Subject": m.Subject, "Dead-Sequence": m.Sequence,
		"Dead-Time": time.Now().UTC().Format(time.RFC3339),
	} {
		dead.Set(name, fmt.Sprint(value))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // also while Run is stopping
	defer cancel()
	store := func(headers nats.Header) error {
		letter := &nats.Msg{Subject: prefix + strings.TrimPrefix(m.Subject, w.SubjectPrefix+"."), Header: headers, Data: raw.Data()}
		id := fmt.Sprintf("%s:%s:%d:%d", m.Durable, m.Stream, m.Sequence, m.Stored.UnixMilli())
		ack, err := w.js.PublishMsg(ctx, letter, jetstream.WithMsgID(id), jetstream.WithExpectStream(w.deadStream()))
		if err == nil && ack.Sequence == 0 { // nats-server 2.10: a duplicate of one that it may yet fail to store
			err = errors.New("the stream is still storing it")
		}
		return err
	}
	err := store(dead)
	if isTooLarge(err) { // the event itself fits: without these headers it is hardly larger than it was
		err = store(nil)
	}
	remedy := fmt.Sprintf("make room in the stream, or make it: nats stream add %s --subjects '%s-dead.>' --defaults", w.deadStream(), w.SubjectPrefix)
	if isTooLarge(err) {
		remedy = fmt.Sprintf("raise max_payload of the server, or max_msg_size of the stream %s", w.deadStream())
	} else if denied := w.denied(nil, prefix); denied != nil && errors.Is(err, context.DeadlineExceeded) {
		remedy, err = fmt.Sprintf("permit its user to publish on %s>", prefix), denied
	}
	if err != nil {
		return fmt.Errorf("no dead letter could be stored, so the event stays (%s): %w", remedy, err)
	}
	return nil
}

// isTooLarge reports whether a message was larger than the server or the stream takes.
func isTooLarge(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, &jetstream.APIError{ErrorCode: 10054})
}
