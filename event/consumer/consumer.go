// Package consumer runs a handler over the events that the bridge publishes. [Run] makes or finds a
// durable pull consumer in JetStream, and then
//
//   - gives each event to the handler, and acknowledges it when the handler returns nil;
//   - keeps the server from giving a slow handler's event to another worker;
//   - tries an event again, after growing pauses, when its handler fails or panics;
//   - stores an event that always fails as a dead letter, and then acknowledges it;
//   - stops in order: handlers that run are finished, and no event is held back from other workers.
//
// An event is handled at least once: when a worker dies or an acknowledgement is lost, it comes
// again. [Store.Once] makes its effect happen exactly once. For an effect elsewhere, pass the
// event's id as the idempotency key.
package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullWait   = 2 * time.Second // how long a pull waits for an event; stopping may take as long
	apiWait    = 5 * time.Second
	goneWait   = 10 * time.Second // a consumer that isn't found for so long was deleted
	maxBackoff = 5 * time.Minute
	logEvery   = time.Minute // for a failure that lasts
)

// Handler handles one event. After an error the event comes again, unless the error is [Permanent].
// The context ends after Options.Timeout, and when Options.ShutdownTimeout is over.
type Handler func(ctx context.Context, m *Message) error

// worker is one call of Run.
type worker struct {
	Options
	js      jetstream.JetStream
	from    jetstream.Consumer
	handler Handler

	mu     sync.Mutex
	logged map[string]time.Time // failures since the last pull that succeeded, and when each was logged last
}

// Run handles events until ctx is done, and returns nil when all handlers have ended. While NATS is
// away, and until the stream exists, it waits and logs that; connect with nats.RetryOnFailedConnect
// to begin before NATS. It returns an error if waiting doesn't help, or if a handler doesn't end.
func Run(ctx context.Context, js jetstream.JetStream, o Options, handler Handler) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if handler == nil {
		return errors.New("consumer: Run has no handler: each event would fail")
	}
	w := &worker{Options: o, js: js, handler: handler, logged: make(map[string]time.Time)}
	err = w.begin(ctx)
	for isAway(err) && ctx.Err() == nil {
		w.pause(ctx, "can't begin yet, trying again", err)
		err = w.begin(ctx)
	}
	if err != nil && ctx.Err() == nil { // if ctx is done, run ends at once
		return err
	}
	clear(w.logged)
	w.Logger.Info("consuming", "stream", o.Stream, "durable", o.Durable, "filters", o.Filters)
	return w.run(ctx)
}

// run has a goroutine for each handler that may run at once; each pulls an event when it can begin.
func (w *worker) run(ctx context.Context) error {
	handling, abandon := context.WithCancelCause(context.WithoutCancel(ctx)) // running handlers may finish
	defer abandon(nil)
	pulling, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	all.Add(w.Concurrency)
	for range w.Concurrency {
		go func() {
			defer all.Done()
			stop(w.consume(pulling, handling))
		}()
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	<-pulling.Done()
	if !within(w.ShutdownTimeout, ended) {
		abandon(errors.New("the worker is stopping"))
		if !within(pullWait+2*time.Second, ended) { // for handlers that heed their context, and a pull
			return fmt.Errorf("stopping: a handler is still running after %s; its event comes again: "+
				"end it with its context, or raise Options.ShutdownTimeout", w.ShutdownTimeout)
		}
	}
	_ = w.js.Conn().FlushTimeout(pullWait) // an acknowledgement that is lost costs a redelivery
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(pulling)
}

// consume handles one event after the other until pulling ends. It returns an error if it can't go on.
func (w *worker) consume(pulling, handling context.Context) error {
	for pulling.Err() == nil {
		raw, err := w.pull()
		if raw == nil && !errors.Is(err, nats.ErrTimeout) {
			if err := w.checkConsumer(pulling); err != nil {
				return err
			}
			w.pause(pulling, "pulling failed, trying again", err)
			continue
		}
		w.succeeded()
		if raw != nil { // even if Run is stopping: an event that went back would have lost an attempt
			w.attempt(handling, raw)
		}
	}
	return nil
}

// pull returns an event, or nats.ErrTimeout if none came for a while.
func (w *worker) pull() (jetstream.Msg, error) {
	if w.js.Conn().IsReconnecting() {
		return nil, nats.ErrDisconnected
	}
	before := w.js.Conn().LastError()
	// Without heartbeats an answer that never comes would be like one that there is no event.
	raw, err := w.from.Next(jetstream.FetchMaxWait(pullWait), jetstream.FetchHeartbeat(pullWait/2))
	if denied := w.denied(before, ".CONSUMER.MSG.NEXT."+w.Stream+"."+w.Durable+`"`); denied != nil {
		err = denied
	}
	return raw, err
}

// checkConsumer returns an error if there is nothing left to pull from. It asks the server, because pulls fail in
// the same way while a server starts; and more than once, because servers of a cluster that start don't find the
// consumer at first.
func (w *worker) checkConsumer(ctx context.Context) error {
	for began := time.Now(); ; {
		asking, cancel := context.WithTimeout(ctx, apiWait)
		_, err := w.from.Info(asking)
		cancel()
		switch {
		case errors.Is(err, nats.ErrConnectionClosed):
			return fmt.Errorf("consuming: the connection to NATS is closed: %w", cmp.Or(w.js.Conn().LastError(), err))
		case !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrConsumerNotFound):
			return nil
		case time.Since(began) >= goneWait:
			return fmt.Errorf("consuming: consumer %s of stream %s was deleted, and its position with it; "+
				"another Run makes it anew, from Options.Since on: %w", w.Durable, w.Stream, err)
		}
		w.pause(ctx, "the consumer isn't found, asking again", err)
	}
}

// pause logs a failure, unless it was just logged, and waits before the next try.
func (w *worker) pause(ctx context.Context, what string, err error) {
	failure := fmt.Sprint(what, err)
	w.mu.Lock()
	isDue := time.Since(w.logged[failure]) >= logEvery
	if isDue {
		w.logged[failure] = time.Now()
	}
	w.mu.Unlock()
	if isDue {
		w.Logger.Warn(what, "durable", w.Durable, "error", err)
	}
	within(time.Second, ctx.Done())
}

// succeeded notes that pulling works, and logs that if it failed before.
func (w *worker) succeeded() {
	w.mu.Lock()
	failed := len(w.logged) > 0
	clear(w.logged)
	w.mu.Unlock()
	if failed {
		w.Logger.Info("pulling works again", "durable", w.Durable)
	}
}

// within reports whether done is closed before the time is over.
func within(d time.Duration, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}
