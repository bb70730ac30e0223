// Package relay makes a message durable: directly in JetStream, or in the spool, from which it is
// delivered later in order of arrival.
//
// [Relay.Publish] returns nil only once the message is durable. It returns in time for a sender that
// waits a second, whatever the state of NATS and the disk. The spool keeps a record until JetStream has
// acknowledged it. A message that NATS refuses while it takes others is set aside and retried later, so
// that it doesn't block them. No message is stored twice, within the limits in ADR 9.
package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// Config is all that a [Relay] needs.
type Config struct {
	Publisher *publish.Publisher
	Spool     *spool.Spool
	// Reach is the longest time between two accepted deliveries of one event: a copy of a message
	// may have been stored that long before the message arrived.
	Reach time.Duration
	// RetrySetAside is the interval for retrying records that were set aside: a limit may have been
	// raised, or a right granted.
	RetrySetAside time.Duration
	Observer      Observer
	Tracer        *telemetry.Tracer // nil: no tracing
	Log           *zap.Logger
	Now           func() time.Time

	quiet time.Duration // a breaker closes after the spool was empty for so long; 0: a minute
}

// Observer counts what happens, for the metrics. Its methods must not wait.
type Observer interface {
	// Published counts an attempt to publish. way is Direct or FromSpool; outcome is stored, duplicate,
	// Found or a publish.Cause.
	Published(kind publish.Kind, way, outcome string)
	// PossiblyDuplicate counts a published message of which the stream may have an older copy with a
	// forgotten id.
	PossiblyDuplicate(kind publish.Kind)
}

// The ways of a message to JetStream.
const (
	Direct    = "direct"
	FromSpool = "spool"
)

// Found is the outcome of a message that needn't be published: a look-up or a late acknowledgement shows
// that it is stored.
const Found = "found"

// Relay takes messages to JetStream.
type Relay struct {
	Config
	breakers   [publish.Kinds]breaker
	gates      [publish.Kinds]drainGate
	acked      acked
	forwarders [publish.Kinds]*forwarder // by kind; nil: the kind has no stream
	ctx        context.Context           // ends with Close
	cancel     context.CancelFunc
	done       sync.WaitGroup
	timeout    time.Duration // of the publisher, for an acknowledgement
}

const (
	// answerBound bounds Publish: a sender may wait only a second, of which request and answer take a
	// part.
	answerBound = 800 * time.Millisecond
	// spoolTime is what is left for the spool if JetStream doesn't answer.
	spoolTime = answerBound / 8
)

// Start returns a relay, which begins to deliver the spool.
func Start(c Config) *Relay {
	r := &Relay{Config: c, timeout: c.Publisher.Timeout()}
	c.Publisher.OnLate(func(d publish.Delivery, at publish.Place) {
		r.acked.add(d, at)
		r.Observer.Published(d.Kind, FromSpool, Found)
	})
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, kind := range c.Publisher.Kinds() {
		f := newForwarder(r, kind)
		r.forwarders[kind] = f
		r.done.Go(func() { f.run(r.ctx) })
	}
	r.done.Go(func() { r.retrySetAside(r.ctx) })
	return r
}

// Publish makes the message durable by the deadline, and returns how. Its errors wrap
// publish.ErrTooLarge, publish.ErrNoRoom or publish.ErrUnavailable. After an error the message may still
// be stored once: perhaps only the acknowledgement was lost, or the disk was still writing.
func (r *Relay) Publish(ctx context.Context, deadline time.Time, m publish.Message) (publish.Status, error) {
	if err := r.Publisher.Check(m); err != nil {
		return "", err
	}
	bound := r.bound(deadline)
	m.Arrived = r.Now()
	var attempted time.Time // zero: JetStream wasn't tried
	var directErr error
	if r.isDirect(m.Kind) || r.gates[m.Kind].wait(ctx) && r.isDirect(m.Kind) {
		status, err := r.publish(ctx, bound.Add(-spoolTime), m)
		if err == nil || isFinal(err) {
			return status, err
		}
		attempted, directErr = m.Arrived, err
	}
	ctx, cancel := context.WithDeadline(ctx, bound)
	defer cancel()
	spoolErr := r.append(ctx, m, attempted)
	if spoolErr == nil {
		return publish.Spooled, nil
	}
	// The disk fails, is full or slow. If NATS is there, the event matters more than the order.
	ready := r.Publisher.Ready(m.Kind)
	if attempted.IsZero() && ready == nil && r.breakers[m.Kind].allow() {
		status, err := r.publish(ctx, bound, m)
		if err == nil || isFinal(err) {
			return status, err
		}
		directErr = err
	}
	directErr = cmp.Or(directErr, ready, errors.New("NATS is connected but publishing fails: the breaker is open"))
	if errors.Is(spoolErr, spool.ErrFull) && awaitsCheck(m.Kind, directErr) {
		return "", fmt.Errorf("%w: %w", publish.ErrNoRoom, spoolErr) // too many wait for it
	}
	return "", fmt.Errorf("%w: %w; and the spool does not take it: %w", publish.ErrUnavailable, directErr, spoolErr)
}

// bound returns when Publish must return: at the deadline, or later if PUBLISH_TIMEOUT is so long that no
// time would be left for the spool.
func (r *Relay) bound(deadline time.Time) time.Time {
	if least := holdFor + r.timeout + spoolTime; least > answerBound {
		return time.Now().Add(least)
	}
	return deadline
}

// isFinal reports whether the spool can't help after a failed publish: NATS will never take the message.
func isFinal(err error) bool {
	return errors.Is(err, publish.ErrTooLarge) || errors.Is(err, publish.ErrNoRoom)
}

// awaitsCheck reports whether a message must wait for the next check of the quarantine's stream. That is no
// failure of NATS.
func awaitsCheck(kind publish.Kind, err error) bool {
	return kind == publish.Refused && publish.CauseOf(err) == publish.Busy
}

// isDirect reports whether a message goes to JetStream at once. While others wait in the spool it goes
// there too, so after a time-out, which spools a message, the next ones are also spooled.
func (r *Relay) isDirect(kind publish.Kind) bool {
	return r.Spool.Len(kind) == 0 && r.Publisher.Ready(kind) == nil && r.breakers[kind].isClosed() && r.ctx.Err() == nil
}

// publish tries JetStream once, until the bound at most.
func (r *Relay) publish(ctx context.Context, bound time.Time, m publish.Message) (publish.Status, error) {
	if time.Until(bound) < r.timeout { // else the publisher gives up earlier
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, bound)
		defer cancel()
	}
	span := telemetry.SpanFrom(ctx).Send(m.Subject, m.ID)
	status, err := r.Publisher.Publish(ctx, m)
	span.End(r.note(Direct, m.Kind, publish.Result{Status: status, Err: err}, false), err != nil)
	return status, err
}

// note counts an attempt, reports it to the breaker, and returns the outcome's label. If a message that was
// set aside fails again, the breaker isn't told: that says nothing new about NATS.
func (r *Relay) note(way string, kind publish.Kind, result publish.Result, wasSetAside bool) string {
	outcome := string(result.Status)
	if result.Err != nil {
		outcome = string(publish.CauseOf(result.Err))
	}
	r.Observer.Published(kind, way, outcome)
	switch {
	case awaitsCheck(kind, result.Err), wasSetAside && result.Err != nil:
	case errors.Is(result.Err, publish.ErrUnavailable): // other errors are the message's fault
		r.breakers[kind].report(false)
	case result.Err == nil && result.Took <= r.timeout: // a slower one is too late for a sender
		r.breakers[kind].report(true)
	}
	return outcome
}

// append appends the message to the spool. If JetStream hasn't been tried and may take the message, append
// leaves time for that.
func (r *Relay) append(ctx context.Context, m publish.Message, attempted time.Time) error {
	if deadline, _ := ctx.Deadline(); attempted.IsZero() && r.Publisher.Ready(m.Kind) == nil && r.breakers[m.Kind].isClosed() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-min(r.timeout, time.Until(deadline)/2)))
		defer cancel()
	}
	step := telemetry.SpanFrom(ctx).Step("spool")
	err := r.Spool.Append(ctx, m, attempted)
	step.End("", err != nil)
	return err
}

// Breaker returns the state of the events' breaker: closed, open or half-open.
func (r *Relay) Breaker() string { return r.breakers[publish.Event].state() }

// NotDirect returns why a message can't go to JetStream directly now, even if no other waits in the spool;
// nil if it can. spoolErr is why the spool refuses the message, nil if it doesn't. A refused message is also
// tried with a half-open breaker, if the forwarder publishes nothing that could close the breaker: the spool
// is empty, or the disk fails. If spool or disk are only full, the forwarder publishes.
func (r *Relay) NotDirect(kind publish.Kind, spoolErr error) error {
	err, state := r.Publisher.Ready(kind), r.breakers[kind].state()
	isFull := errors.Is(spoolErr, spool.ErrFull) || errors.Is(spoolErr, spool.ErrNoDisk)
	isTried := spoolErr != nil && state == "half-open" && (r.Spool.Len(kind) == 0 || !isFull)
	if err != nil || state == "closed" || isTried {
		return err
	}
	return fmt.Errorf("NATS is connected but publishing fails (%s): the breaker is %s", cmp.Or(r.Blocked(kind), publish.TimedOut), state)
}

// Blocked returns why the kind's messages can't be delivered from the spool now; "" if they can. While
// the stream isn't ready, nothing is tried.
func (r *Relay) Blocked(kind publish.Kind) publish.Cause {
	f := r.forwarders[kind]
	if f == nil {
		return ""
	}
	switch err := r.Publisher.Ready(kind); {
	case r.Spool.Len(kind) == 0 || err == nil:
	case !r.Publisher.IsConnected():
		return publish.Disconnected
	case errors.Is(err, context.DeadlineExceeded): // JetStream didn't answer
		return publish.TimedOut
	case publish.CauseOf(err) != "": // it isn't known how full the quarantine is
		return publish.CauseOf(err)
	default:
		return publish.NoStream
	}
	cause, _ := f.cause.Load().(publish.Cause)
	return cause
}

// Drain waits until the spool is empty or the context ends. It doesn't wait for quarantined messages while
// they can't be delivered. No new message may be published meanwhile.
func (r *Relay) Drain(ctx context.Context) {
	isWanted := func(kind publish.Kind) bool {
		cause := r.Blocked(kind)
		return r.Spool.Len(kind) > 0 && (kind == publish.Event || cause == "" || cause == publish.Busy)
	}
	for ctx.Err() == nil && slices.ContainsFunc(r.Publisher.Kinds(), isWanted) {
		time.Sleep(10 * time.Millisecond)
	}
}

// Close stops the delivery of the spool, which keeps its records. It waits until that has ended or the
// context ends.
func (r *Relay) Close(ctx context.Context) error {
	r.cancel()
	done := make(chan struct{})
	go func() {
		r.done.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("closing relay: a request to NATS has not ended yet")
	}
}
