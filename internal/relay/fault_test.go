package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// kept is a message for quarantine.
func kept(id string) publish.Message {
	m := message(id)
	m.Kind, m.Subject = publish.Quarantined, "webhooks-quarantine.flock.stale"
	return m
}

// Events go directly, whatever is wrong with the quarantine's stream.
func TestQuarantineIsStuck(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, nil)
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "WEBHOOKS_QUARANTINE", Subjects: []string{"webhooks-quarantine.>"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
	f := start(t, s.URL(), func(c *settings) { c.publish.Stream.Manage, c.publish.Quarantine.Manage = false, false }).ready()
	poll.Until(t, "quarantine is ready", func() bool { return f.isDirect(publish.Quarantined) })
	for i, want := range []publish.Status{publish.Stored, publish.Spooled, publish.Spooled} {
		f.takes(want, kept(fmt.Sprint(i)))
	}
	poll.Until(t, "quarantine's breaker is open", func() bool { return !f.breakers[publish.Quarantined].isClosed() })
	f.publishes(publish.Stored, numbered(0, 20)...)
	// A shutdown doesn't wait for it either.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f.Drain(ctx)
	if ctx.Err() != nil {
		t.Error("the end waits for what can't be delivered")
	}
}

// Deliveries answered 401 may have to wait for the next check of the quarantine's stream. That is not logged
// as an outage, and a shutdown delivers them.
func TestRefusedTakeTurns(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, s.URL(), func(c *settings) {
		c.publish.Quarantine.MaxBytes, c.publish.Quarantine.ProtectedReason = 1<<20, "unreadable"
	}).ready()
	poll.Until(t, "quarantine is ready", func() bool { return f.isDirect(publish.Refused) })
	var all sync.WaitGroup // together, so that most must wait
	for i := range 30 {
		all.Go(func() {
			m := kept(fmt.Sprint(i))
			m.Kind, m.Data = publish.Refused, make([]byte, 20<<10)
			if _, err := f.Publish(t.Context(), m); err != nil {
				t.Error(err)
			}
			if cause := f.Blocked(publish.Refused); cause != "" && cause != publish.Busy {
				t.Errorf("blocked: %s", cause)
			}
		})
	}
	all.Wait()
	f.Drain(t.Context())
	expect.Equal(t, 0, f.Spool.Len(publish.Refused), "in the spool")
	for _, entry := range f.logs.FilterLevelExact(zap.WarnLevel).All() {
		t.Errorf("logged %s %v", entry.Message, entry.ContextMap())
	}
}

// If more deliveries answered 401 come than can wait for the next check, some are dropped. That is no outage,
// in which their senders would be told to try again.
func TestRefusedMiss(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, s.URL(), func(c *settings) {
		c.publish.Quarantine.MaxBytes, c.publish.Quarantine.ProtectedReason = 1<<20, "unreadable"
		c.spool.MaxOf[publish.Refused] = 400 << 10
	}).ready()
	poll.Until(t, "quarantine is ready", func() bool { return f.isDirect(publish.Refused) })
	for i := 0; f.seen.of("spool busy") < 10 && !t.Failed(); i++ {
		m := kept(fmt.Sprint(i))
		m.Kind, m.Data = publish.Refused, make([]byte, 20<<10)
		_, err := f.Publish(t.Context(), m)
		if err != nil && (!errors.Is(err, publish.ErrNoRoom) || errors.Is(err, publish.ErrUnavailable)) {
			t.Error(err)
		}
		if !f.breakers[publish.Refused].isClosed() {
			t.Error("the breaker is open")
		}
	}
}

// If NATS is silent no record is at fault, even if the next one is known to be stored.
func TestSilenceIsNoFault(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	f := start(t, s.URL(), hasty).ready()
	s.Pause()
	for _, id := range []string{"first", "acknowledged"} {
		expect.NoError(t, f.Spool.Append(t.Context(), arrived(message(id), 0), time.Now()))
		poll.Until(t, "the first one is being delivered", func() bool { return f.logged(sayBegan) > 0 })
	}
	other := newForwarder(f.Relay, publish.Event)
	records, err := f.Spool.Next(publish.Event, 0, 2, maxBytes)
	if err != nil || len(records) != 2 {
		t.Fatalf("the spool has %+v, %v, want two records", records, err)
	}
	other.acked.add(records[1].Delivery(), publish.Place{StreamCreated: time.Now()})
	if other.setAsideIfAtFault(t.Context(), records[0], &publish.Error{Cause: publish.TimedOut}) {
		t.Error("the first one is taken to be at fault")
	}
	s.Resume()
	f.delivered()
	stored(t, natsdtest.Connect(t, s.URL()), "first", "acknowledged")
}

// A full stream sets nothing aside: a smaller record that would fit doesn't overtake a larger one.
func TestNothingOvertakesInFullStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.MaxBytes = 2000 })
	f := start(t, s.URL(), unmanaged).ready()
	large := sized("large", 3000)
	f.takes(publish.Spooled, large)
	f.publishes(publish.Spooled, "small")
	poll.Until(t, "tried often", func() bool { return f.seen.of("spool stream_full") > suspectEvery })
	stored(t, js)
	expect.Equal(t, 0, f.Spool.Stats().SetAside, "records set aside")
}

// After a failure one record is tried, not a batch.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.MaxMsgs = 100 })
	s.Stop()
	f := start(t, s.URL(), unmanaged)
	f.publishes(publish.Spooled, numbered(0, 400)...)
	s.Start()
	poll.Until(t, "full", func() bool { return f.logged(sayAlarm) == 1 })
	before := f.seen.of("spool stream_full")
	if before < 2 {
		t.Errorf("only %d failed at first: there was no batch", before)
	}
	poll.Until(t, "tried again", func() bool { return f.seen.of("spool stream_full") >= before+3 })
	if n := f.seen.of("spool stream_full"); n > before+10 {
		t.Errorf("%d attempts in a few rounds", n-before)
	}
}
