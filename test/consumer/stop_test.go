package consumer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// Run finishes running handlers when it is stopped, and holds no event for which others must wait:
// the ack wait is longer than the test.
func TestStops(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	total := n.publish(1, 60)
	var calls tally
	handler := func(_ context.Context, m *consumer.Message) error {
		time.Sleep(5 * time.Millisecond)
		calls.add(m.Event.ID)
		return nil
	}
	o := consumer.Options{Concurrency: 3, AckWait: time.Hour}
	one := run(t, n.js, o, handler)
	eventually(t, "it has begun", func() bool { _, calls := calls.all(); return calls > 3 })
	one.stopped()
	if _, calls := calls.all(); calls == total {
		t.Fatal("it had handled all before it was asked to stop: the test tells nothing")
	}
	two := run(t, n.connect(""), o, handler)
	eventually(t, "all are handled", func() bool { return n.settled("rewards") })
	two.stopped()
	if events, calls := calls.all(); events != total || calls != total {
		t.Errorf("%d events, %d calls", events, calls)
	}
}

// A handler that a stop cuts short, and that fails for good, has its dead letter.
func TestStopsWithADeadLetter(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	n.publish(1, 1)
	began := make(chan struct{})
	r := run(t, n.js, consumer.Options{ShutdownTimeout: 50 * time.Millisecond}, func(ctx context.Context, _ *consumer.Message) error {
		close(began)
		<-ctx.Done()
		return consumer.Permanent(errors.New("never"))
	})
	<-began
	r.stopped()
	if dead := n.dead(); len(dead) != 1 || dead[0].Header.Get("Dead-Reason") != "the worker is stopping: never" {
		t.Errorf("got the dead letters %+v, want one that never can be handled", dead)
	}
}

// What a pull brings after the stop is handled: another worker would count it as tried, and with
// one attempt make a dead letter of an event that nobody handled.
func TestStopsWhilePulling(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	var calls tally
	handler := func(_ context.Context, m *consumer.Message) error { calls.add(m.Event.ID); return nil }
	one := run(t, n.js, consumer.Options{MaxAttempts: 1}, handler)
	eventually(t, "it pulls", func() bool {
		c, err := n.js.Consumer(t.Context(), "WEBHOOKS", "rewards")
		return err == nil && c.CachedInfo().NumWaiting == 1
	})
	one.stop()
	n.publish(1, 1)
	noError(t, one.ended())
	two := run(t, n.connect(""), consumer.Options{MaxAttempts: 1}, handler)
	eventually(t, "it is handled", func() bool { return n.settled("rewards") })
	two.stopped()
	if events, calls := calls.all(); events != 1 || calls != 1 || len(n.dead()) != 0 {
		t.Errorf("%d events, %d calls, %d dead letters", events, calls, len(n.dead()))
	}
}

// A worker that has nothing to do stops well however little time it is given.
func TestStopsIdle(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	r := run(t, n.js, consumer.Options{ShutdownTimeout: 50 * time.Millisecond}, unused)
	eventually(t, "it pulls", func() bool {
		c, err := n.js.Consumer(t.Context(), "WEBHOOKS", "rewards")
		return err == nil && c.CachedInfo().NumWaiting == 1
	})
	r.stopped()
}

func TestStoppedBeforeItBegins(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := consumer.Run(ctx, n.js, options(consumer.Options{MakeDeadStream: true}), unused); err != nil {
		t.Error(err)
	}
}

// A handler that doesn't return in time has its context ended; if it ignores that, Run returns an
// error.
func TestStopsLate(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 1)
	began, free := make(chan struct{}), make(chan struct{})
	r := run(t, n.js, consumer.Options{ShutdownTimeout: 50 * time.Millisecond}, func(context.Context, *consumer.Message) error {
		close(began)
		<-free
		return nil
	})
	<-began
	r.stop()
	if err := r.ended(); err == nil || !strings.Contains(err.Error(), "a handler is still running after 50ms") {
		t.Error(err)
	}
	close(free)
}
