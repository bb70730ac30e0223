package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event"
)

type permanent struct{ error }

// Permanent marks an error that no later attempt can mend: the event becomes a dead letter at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

func (p *permanent) Unwrap() error { return p.error }

// errLate marks the error of a handler that ended when another worker could have its event.
var errLate = errors.New("the handler ended too late to count")

// attempt handles one delivery of an event. It ends with an acknowledgement, a later attempt or a
// dead letter. When the worker dies before that, the server delivers the event again.
func (w *worker) attempt(ctx context.Context, raw jetstream.Msg) {
	began := time.Now()
	meta, err := raw.Metadata()
	if err != nil { // not of JetStream
		return
	}
	m := &Message{
		Subject: raw.Subject(), Stream: meta.Stream, Durable: w.Durable, Sequence: meta.Sequence.Stream,
		Stored: meta.Timestamp, Attempt: int(meta.NumDelivered), Pending: meta.NumPending,
	}
	m.Event, err = event.Parse(raw.Data())
	log := w.Logger.With("id", m.Event.ID, "subject", m.Subject, "sequence", m.Sequence, "attempt", m.Attempt)
	if err = Permanent(err); err == nil {
		err = w.handle(ctx, log, raw, m)
	}
	pause, answer := w.Backoff(m.Attempt), raw.Ack
	var final *permanent
	isLast := errors.As(err, &final) || m.Attempt >= w.MaxAttempts
	if err == nil {
		w.observe(log, func(o Observer) { o.Handled(m, time.Since(began)) })
	} else if isLast && !errors.Is(err, errLate) {
		if unstored := w.bury(ctx, raw, m, err); unstored == nil {
			log.Error("dead letter", "reason", err)
			w.observe(log, func(o Observer) { o.Dead(m, time.Since(began), err) })
			err, answer = nil, raw.Term
		} else {
			err, pause = fmt.Errorf("%w: %w", unstored, err), max(pause, 5*time.Second)
		}
	}
	if err != nil {
		log.Warn("failed, to be tried again", "error", err, "pause", pause.String())
		w.observe(log, func(o Observer) { o.Retried(m, time.Since(began), err) })
		if errors.Is(err, errLate) {
			return // a nak would give the event to a third worker
		}
		answer = func() error { return raw.NakWithDelay(pause) }
	}
	if err := answer(); err != nil {
		log.Warn("acknowledging failed, so the event comes again", "error", err)
	}
}

// observe calls the observer, whose panic ends nothing.
func (w *worker) observe(log *slog.Logger, call func(Observer)) {
	if w.Observer != nil {
		defer recovered(log, "the observer panicked", new(error))
		call(w.Observer)
	}
}

// recovered is deferred: it makes a panic an error, and logs it with its stack.
func recovered(log *slog.Logger, what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %v", what, p)
		log.Error(what, "panic", p, "stack", string(debug.Stack()))
	}
}

// handle calls the handler, after a look at the attempts: an event may kill each worker that has
// it.
func (w *worker) handle(ctx context.Context, log *slog.Logger, raw jetstream.Msg, m *Message) (err error) {
	if m.Attempt > w.MaxAttempts {
		return Permanent(fmt.Errorf("delivered %d times, and never handled to the end", m.Attempt-1))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.Timeout, fmt.Errorf("the handler took longer than %s", w.Timeout))
	kept := make(chan time.Time, 1)
	go func() { kept <- w.keep(ctx, log, raw) }()
	defer func() {
		cancel()
		if time.Since(<-kept) >= w.AckWait && err != nil {
			err = fmt.Errorf("%w: %w", errLate, err)
		}
	}()
	defer recovered(log, "the handler panicked", &err)
	if err = w.handler(ctx, m); err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// keep tells the server that the event is being handled, until the handler returns or has taken too
// long, and returns when it last did. AckWait later another worker gets the event: Go can't end a
// handler that ignores its context.
func (w *worker) keep(ctx context.Context, log *slog.Logger, raw jetstream.Msg) time.Time {
	last := time.Now()
	for !within(w.AckWait/3, ctx.Done()) {
		if w.js.Conn().IsConnected() && raw.InProgress() == nil { // else the next may arrive in time
			last = time.Now()
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		log.Error("the handler takes longer than its time-out; no other event is begun in its place until it returns")
	}
	return last
}
