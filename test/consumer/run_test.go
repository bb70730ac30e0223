package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// A handler that takes longer than the ack wait keeps its event.
func TestSlowerThanTheAckWait(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 2)
	const ackWait = 3 * time.Second
	var calls tally
	handler := func(_ context.Context, m *consumer.Message) error {
		calls.add(m.Event.ID)
		time.Sleep(2 * ackWait)
		return nil
	}
	r := run(t, n.js, consumer.Options{AckWait: ackWait, Concurrency: 2}, handler)
	other := run(t, n.connect(""), consumer.Options{AckWait: ackWait}, handler) // would have them
	eventually(t, "all are handled", func() bool { return n.settled("rewards") })
	if events, calls := calls.all(); events != 2 || calls != 2 {
		t.Errorf("%d events, %d calls", events, calls)
	}
	r.stopped()
	other.stopped()
}

// The context of a handler that takes too long ends, and its event comes again.
func TestTimeout(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 1)
	var calls tally
	told := make(chan error, 1)
	r := run(t, n.js, consumer.Options{Timeout: 100 * time.Millisecond}, func(ctx context.Context, m *consumer.Message) error {
		if calls.add(m.Event.ID) == 1 {
			<-ctx.Done()
			told <- context.Cause(ctx)
			return ctx.Err()
		}
		return nil
	})
	eventually(t, "it is handled", func() bool { return n.settled("rewards") })
	if err := <-told; !strings.Contains(err.Error(), "longer than 100ms") {
		t.Error(err)
	}
	r.stopped()
}

// A handler that ignores its context keeps its place, not its event. What it returns when another
// worker has the event changes nothing.
func TestStuck(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]error{"error": errors.New("too late"), "permanent": consumer.Permanent(errors.New("too late"))} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, "")
			n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
			n.publish(1, 1)
			free, log := make(chan struct{}), &words{}
			stuck := run(t, n.js, consumer.Options{AckWait: 3 * time.Second, Timeout: 100 * time.Millisecond, Logger: log.logger()}, func(context.Context, *consumer.Message) error {
				<-free
				return late
			})
			eventually(t, "the log says that it is stuck", func() bool { return strings.Contains(log.String(), "takes longer than its time-out") })
			var calls tally
			done := make(chan struct{})
			other := run(t, n.connect(""), consumer.Options{AckWait: 3 * time.Second, Concurrency: 2}, func(_ context.Context, m *consumer.Message) error {
				calls.add(fmt.Sprint(m.Attempt))
				<-done
				return nil
			})
			eventually(t, "another worker handles it", func() bool { events, _ := calls.all(); return events == 1 })
			close(free)
			stuck.stopped()
			time.Sleep(500 * time.Millisecond)
			close(done)
			eventually(t, "it is handled", func() bool { return n.settled("rewards") })
			other.stopped()
			if events, _ := calls.all(); events != 1 || calls.calls["2"] != 1 || len(n.dead()) != 0 {
				t.Errorf("got the attempts %v and %d dead letters, want the second attempt and none", calls.calls, len(n.dead()))
			}
			if !strings.Contains(log.String(), "too late to count") {
				t.Error(log.String())
			}
		})
	}
}

// What a handler returns shortly before the ack wait is over changes nothing either: the server's began
// earlier than the handler, on a busy machine by a second.
func TestAlmostLate(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	n.publish(1, 1)
	r := run(t, n.js, consumer.Options{AckWait: 3 * time.Second, Timeout: 100 * time.Millisecond}, func(_ context.Context, m *consumer.Message) error {
		if m.Attempt > 1 {
			return nil
		}
		time.Sleep(2500 * time.Millisecond)
		return consumer.Permanent(errors.New("almost too late"))
	})
	eventually(t, "it is handled", func() bool { return n.settled("rewards") })
	r.stopped()
	if dead := n.dead(); len(dead) != 0 {
		t.Errorf("got %d dead letters, want none", len(dead))
	}
}

// A handler that fails after its worker couldn't reach NATS for the ack wait changes nothing, also
// if the worker is connected again.
func TestLateAfterAnOutage(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	n.publish(1, 1)
	began, free, log := make(chan struct{}), make(chan struct{}), &words{}
	var calls tally
	r := run(t, n.js, consumer.Options{AckWait: time.Second, Concurrency: 2, Logger: log.logger()}, func(context.Context, *consumer.Message) error {
		if calls.add("") > 1 {
			return nil
		}
		close(began)
		<-free
		return consumer.Permanent(errors.New("too late"))
	})
	<-began
	n.stop()
	time.Sleep(2 * time.Second)
	n.start()
	eventually(t, "another attempt is made", func() bool { _, calls := calls.all(); return calls > 1 })
	close(free)
	eventually(t, "it has failed", func() bool { return strings.Contains(log.String(), "too late to count") || len(n.dead()) > 0 })
	r.stopped()
	if dead := n.dead(); len(dead) != 0 {
		t.Errorf("got %d dead letters, want none", len(dead))
	}
}

// A panic is a failure like any other: it is logged with its stack, and the event comes again.
func TestPanic(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	total := n.publish(1, 20)
	var calls tally
	log := &words{}
	r := run(t, n.js, consumer.Options{Concurrency: 4, Logger: log.logger()}, func(_ context.Context, m *consumer.Message) error {
		if calls.add(m.Event.ID) == 1 {
			panic("first time")
		}
		return nil
	})
	eventually(t, "all are handled", func() bool { return n.settled("rewards") })
	if events, calls := calls.all(); events != total || calls != 2*total {
		t.Errorf("%d events, %d calls", events, calls)
	}
	r.stopped()
	if text := log.String(); !strings.Contains(text, "run_test.go") || strings.Contains(text, `"u1`) {
		t.Errorf("a stack and no data should be in the log: %s", text)
	}
}

// A consumer that begins before NATS waits for it and says so; stopped while it waits, it ends.
func TestBeginsBeforeNATS(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 1)
	n.stop()
	log := &words{}
	js := n.connect("", nats.RetryOnFailedConnect(true))
	r := run(t, js, consumer.Options{Logger: log.logger(), MakeDeadStream: true}, func(context.Context, *consumer.Message) error { return nil })
	eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "can't begin yet, trying again") })
	run(t, js, consumer.Options{}, unused).stopped()
	n.start()
	eventually(t, "its event is handled", func() bool { return n.settled("rewards") })
	r.stopped()
}

// Errors that waiting doesn't mend end Run at once.
func TestCannotBegin(t *testing.T) {
	t.Parallel()
	n := serve(t, `no_auth_user: tester, authorization { users = [
		{ user: tester, password: tester }
		{ user: mute, password: mute, permissions { publish = "x" } }
	] }`)
	for user, want := range map[string]string{
		"mute":    `Permissions Violation for Publish to "$JS.API.CONSUMER.INFO.WEBHOOKS.rewards" (see docs/consumers.md)`,
		"unknown": "finding or making consumer rewards of stream WEBHOOKS: nats: Authorization Violation",
	} {
		err := run(t, n.connect(user, nats.RetryOnFailedConnect(true)), consumer.Options{}, unused).ended()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got the error %v, want %s", user, err, want)
		}
	}
}

// The log says that NATS is away also when it was there before: each error once, however many handlers there are.
func TestNATSGoesAway(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	log := &words{}
	r := run(t, n.js, consumer.Options{Logger: log.logger(), Concurrency: 8}, unused)
	eventually(t, "it consumes", func() bool { return strings.Contains(log.String(), "consuming") })
	n.stop()
	eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "pulling failed, trying again") })
	n.start()
	eventually(t, "the log says that it is back", func() bool { return strings.Contains(log.String(), "pulling works again") })
	during, _, _ := strings.Cut(log.String(), "pulling works again")
	seen := make(map[string]bool)
	for line := range strings.Lines(during) {
		_, failure, isFailure := strings.Cut(line, "pulling failed")
		if isFailure && seen[failure] {
			t.Errorf("logged again: %s", failure)
		}
		seen[failure] = true
	}
	r.stopped()
}

func TestNATSRestarts(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	total := n.publish(1, 10)
	var calls tally
	r := run(t, n.connect(""), consumer.Options{AckWait: time.Second, Concurrency: 2}, func(_ context.Context, m *consumer.Message) error {
		calls.add(m.Event.ID)
		time.Sleep(20 * time.Millisecond)
		return nil
	})
	for i := range 3 {
		eventually(t, "it handles", func() bool { events, _ := calls.all(); return events >= total-5 })
		n.stop()
		n.start()
		eventually(t, "the tests are connected", func() bool { _, err := n.js.Stream(t.Context(), "WEBHOOKS"); return err == nil })
		total += n.publish(100*(i+1), 100*(i+1)+9)
	}
	eventually(t, "all are handled", func() bool { return n.settled("rewards") })
	events, calls2 := calls.all()
	if events != total {
		t.Errorf("%d of %d events", events, total)
	}
	t.Logf("%d events, %d calls", events, calls2)
	r.stopped()
}

func TestDeleted(t *testing.T) {
	t.Parallel()
	for what, remove := range map[string]func(*natsd) error{
		"stream":   func(n *natsd) error { return n.js.DeleteStream(t.Context(), "WEBHOOKS") },
		"consumer": func(n *natsd) error { return n.js.DeleteConsumer(t.Context(), "WEBHOOKS", "rewards") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := serve(t, "")
			n.publish(1, 1)
			r := run(t, n.js, consumer.Options{}, func(context.Context, *consumer.Message) error { return nil })
			eventually(t, "it is handled", func() bool { return n.settled("rewards") })
			noError(t, remove(n))
			if err := r.ended(); err == nil || !strings.Contains(err.Error(), "consumer rewards of stream WEBHOOKS was deleted") {
				t.Error(err)
			}
		})
	}
}

// A consumer that isn't found for a moment was not deleted: two servers of a cluster that were killed answer
// so while they start.
func TestNotFound(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 1)
	log := &words{}
	r := run(t, n.js, consumer.Options{Logger: log.logger()}, unused)
	eventually(t, "it is handled", func() bool { return n.settled("rewards") })
	c, err := n.js.Consumer(t.Context(), "WEBHOOKS", "rewards")
	noError(t, err)
	noError(t, n.js.DeleteConsumer(t.Context(), "WEBHOOKS", "rewards"))
	eventually(t, "it isn't found", func() bool { return strings.Contains(log.String(), "asking again") || len(r.err) > 0 })
	_, err = n.js.CreateConsumer(t.Context(), "WEBHOOKS", c.CachedInfo().Config)
	noError(t, err)
	n.publish(2, 2)
	eventually(t, "it goes on", func() bool { return n.settled("rewards") || len(r.err) > 0 })
	r.stopped()
}

func TestConnectionClosed(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	js := n.connect("")
	r := run(t, js, consumer.Options{}, func(context.Context, *consumer.Message) error { return nil })
	eventually(t, "it has begun", func() bool { return n.settled("rewards") })
	js.Conn().Close()
	if err := r.ended(); err == nil || !strings.Contains(err.Error(), "the connection to NATS is closed") {
		t.Error(err)
	}
}

// Settings of an existing consumer are changed if that is safe, and otherwise are an error.
func TestExisting(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 3)
	c := jetstream.ConsumerConfig{
		Durable: "rewards", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 5, BackOff: []time.Duration{time.Second}, HeadersOnly: true,
		FilterSubjects: []string{"webhooks.flock.>"}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 2,
	}
	if _, err := n.js.CreateConsumer(t.Context(), "WEBHOOKS", c); err != nil {
		t.Fatal(err)
	}
	var calls tally
	o := consumer.Options{Filters: []string{"webhooks.flock.>"}, Since: time.Now(), AckWait: 7 * time.Second}
	r := run(t, n.js, o, func(_ context.Context, m *consumer.Message) error { calls.add(m.Event.ID); return nil })
	eventually(t, "its events are handled, from its own start on", func() bool { events, _ := calls.all(); return events == 2 })
	r.stopped()
	made, err := n.js.Consumer(t.Context(), "WEBHOOKS", "rewards")
	noError(t, err)
	if got := made.CachedInfo().Config; got.AckWait != 7*time.Second || got.MaxDeliver != -1 || got.BackOff != nil || got.HeadersOnly {
		t.Errorf("the durable is configured as %+v, want it as it was made", got)
	}

	for _, test := range []struct {
		name   string
		exists jetstream.ConsumerConfig
		want   string
	}{
		{"filters", c, `has the filters ["webhooks.flock.>"] and the ack policy AckExplicit, but Run needs one that has the filters [] and`},
		{"ack policy", jetstream.ConsumerConfig{Durable: "rewards", AckPolicy: jetstream.AckNonePolicy}, "has the filters [] and the ack policy AckNone, but Run needs one that has the filters [] and the ack policy AckExplicit"},
	} {
		if _, err := n.js.CreateOrUpdateConsumer(t.Context(), "WEBHOOKS", c); err != nil {
			t.Fatal(err)
		}
		_ = n.js.DeleteConsumer(t.Context(), "WEBHOOKS", "rewards")
		if _, err := n.js.CreateConsumer(t.Context(), "WEBHOOKS", test.exists); err != nil {
			t.Fatal(err)
		}
		err := run(t, n.js, consumer.Options{}, unused).ended()
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "nats consumer rm WEBHOOKS rewards") {
			t.Errorf("%s: got the error %v, want what differs, and the command that removes it", test.name, err)
		}
	}
	_ = n.js.DeleteConsumer(t.Context(), "WEBHOOKS", "rewards")
	if _, err := n.js.CreatePushConsumer(t.Context(), "WEBHOOKS", jetstream.ConsumerConfig{Durable: "rewards", DeliverSubject: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := run(t, n.js, consumer.Options{}, unused).ended(); err == nil || !strings.Contains(err.Error(), "exists and is a push consumer") {
		t.Error(err)
	}
	if err := consumer.Run(t.Context(), n.js, options(consumer.Options{}), nil); err == nil || !strings.Contains(err.Error(), "no handler") {
		t.Error(err)
	}
	if err := consumer.Run(t.Context(), n.js, consumer.Options{Durable: "a.b"}, unused); err == nil || !strings.Contains(err.Error(), "without space, dot") {
		t.Error(err)
	}
	for _, filter := range []string{"", "webhooks..user.created"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := consumer.Run(ctx, n.js, consumer.Options{Durable: "rewards", Filters: []string{"webhooks.a.>", filter}}, unused)
		if cancel(); err == nil || !strings.Contains(err.Error(), "a token of it is empty") {
			t.Errorf("Run with the filter %q: %v", filter, err)
		}
	}
}

// A consumer that begins before the stream waits for it and says so.
func TestBeginsBeforeTheStream(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	noError(t, n.js.DeleteStream(t.Context(), "WEBHOOKS"))
	log := &words{}
	r := run(t, n.js, consumer.Options{Logger: log.logger()}, func(context.Context, *consumer.Message) error { return nil })
	eventually(t, "the log says so", func() bool {
		return strings.Contains(log.String(), "can't begin yet, trying again") && strings.Contains(log.String(), "stream not found")
	})
	n.stream("WEBHOOKS", "webhooks.>")
	n.publish(1, 1)
	eventually(t, "its event is handled", func() bool { return n.settled("rewards") })
	r.stopped()
}
