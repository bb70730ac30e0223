package relay

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// waits appends messages to the spool with an arrival in the past.
func (f *fixture) waits(ago time.Duration, ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		expect.NoError(f.t, f.Spool.Append(f.t.Context(), arrived(message(id), ago), time.Time{}))
	}
}

// Two of three servers are down: a stream with one copy on the third takes messages, and no
// consumer can be made. Records that may be stored already wait, however often the look-up fails,
// until it works.
func TestNoQuorumToLookUp(t *testing.T) {
	t.Parallel()
	servers := natsdtest.StartCluster(t, 3, true, "")
	js := natsdtest.Connect(t, servers[0].URL())
	found := natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: 100 * time.Millisecond})
	storeAndForget(t, js, "a")
	var stays *natsdtest.Server
	var gone []*natsdtest.Server
	for i, s := range servers {
		if found.CachedInfo().Cluster.Leader == [...]string{"n0", "n1", "n2"}[i] {
			stays = s
		} else {
			gone = append(gone, s)
		}
	}
	for _, s := range gone {
		s.Kill()
	}
	f := start(t, stays.URL(), unmanaged)
	poll.Until(t, "connected", func() bool { return f.Publisher.Ready(publish.Event) == nil })
	f.waits(time.Hour, "a", "b")
	poll.Until(t, "looking up fails", func() bool { return f.Blocked(publish.Event) == publish.LookupFailed })
	if n := f.seen.of("spool stored"); n != 0 || f.seen.of("possible") != 0 {
		t.Fatalf("%d are published, %d possible duplicates", n, f.seen.of("possible"))
	}
	for _, s := range gone {
		s.Start()
	}
	f.delivered()
	if n := count(t, natsdtest.Connect(t, stays.URL())); n["a"] != 1 || n["b"] != 1 {
		t.Errorf("stored %v", n)
	}
	if f.seen.of("possible") != 0 || f.seen.of("spool found") != 1 {
		t.Errorf("%d possible duplicates, %d found", f.seen.of("possible"), f.seen.of("spool found"))
	}
}

// A look-up that never works is given up after an hour, not after a number of attempts.
func TestLookUpIsGivenUp(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { forgets(c); c.MaxConsumers = 1 })
	expect.NoError(t, expect.Err(js.CreateConsumer(t.Context(), "WEBHOOKS", jetstream.ConsumerConfig{Durable: "theirs"})))
	storeAndForget(t, js, "a")
	var later atomic.Int64
	f := start(t, s.URL(), unmanaged, func(c *settings) {
		c.relay.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	poll.Until(t, "connected", func() bool { return f.Publisher.Ready(publish.Event) == nil })
	f.waits(time.Hour, "a", "b")
	poll.Until(t, "looking up fails", func() bool { return f.Blocked(publish.Event) == publish.LookupFailed })
	if f.waiting() != 2 || f.logged(sayGivenUp) != 0 {
		t.Fatalf("%d wait", f.waiting())
	}
	later.Store(int64(lookupPatience))
	f.delivered()
	poll.Until(t, "counted", func() bool { return f.seen.of("possible") == 2 })
	if f.logged(sayGivenUp) == 0 {
		t.Error("it isn't logged")
	}
}

// If the stream was deleted and created again since, the scan of the old one doesn't count.
func TestFoundInAnotherStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, nil)
	f := start(t, s.URL(), unmanaged).ready()
	if err := f.Relay.Close(t.Context()); err != nil { // nobody delivers meanwhile
		t.Fatal(err)
	}
	if status, err := f.Publisher.Publish(t.Context(), message("a")); status != publish.Stored || err != nil {
		t.Fatalf("publishing a: got %q, %v, want it stored", status, err)
	}
	f.waits(2*time.Hour, "a", "b")
	records, err := f.Spool.Next(publish.Event, 0, 2, maxBytes)
	expect.NoError(t, err)
	l := &lookup{Relay: f.Relay, kind: publish.Event}
	if known, err := l.stored(t.Context(), records); err != nil || known["a"] == 0 || known["b"] > 0 {
		t.Fatalf("got %v, %v, want a found and b not", known, err)
	}
	expect.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
	makeStream(t, js, nil)
	for range 3 { // more than the old one had
		expect.NoError(t, expect.Err(js.Publish(t.Context(), "webhooks.flock.other", nil)))
	}
	known, err := l.stored(t.Context(), records)
	if err == nil || known["a"] > 0 {
		t.Errorf("in the new stream: got %v, %v, want an error, and nothing of the old one", known, err)
	}
	if failed := (*publish.Error)(nil); !errors.As(err, &failed) || failed.Cause != publish.LookupFailed {
		t.Errorf("the error: got %v, want the cause lookup_failed", err)
	}
	poll.Until(t, "the new one is looked through", func() bool { known, err = l.stored(t.Context(), records); return err == nil })
	if known["a"] > 0 {
		t.Errorf("in the new stream: got %v, want nothing of the old one", known)
	}
}

// A message that wasn't found in a stream may be in the one that replaced it, such as a restored one.
func TestNotFoundInAnotherStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, nil)
	f := start(t, s.URL(), unmanaged).ready()
	expect.NoError(t, f.Relay.Close(t.Context())) // nobody delivers meanwhile
	f.waits(2*time.Hour, "a")
	records, err := f.Spool.Next(publish.Event, 0, 1, maxBytes)
	expect.NoError(t, err)
	l := &lookup{Relay: f.Relay, kind: publish.Event}
	if known, err := l.stored(t.Context(), records); err != nil || known["a"] > 0 {
		t.Fatalf("got %v, %v, want a not found", known, err)
	}
	expect.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
	makeStream(t, js, nil)
	expect.NoError(t, expect.Err(js.Publish(t.Context(), subject, nil, jetstream.WithMsgID("a"))))
	poll.Until(t, "a is found, or an error", func() bool {
		known, err := l.stored(t.Context(), records)
		if err == nil && known["a"] == 0 {
			t.Fatal("a was not found in the new stream")
		}
		return err == nil
	})
}

// A scan counts only for records that were in the spool when it began.
func TestFoundForOthers(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	makeStream(t, natsdtest.Connect(t, s.URL()), nil)
	f := start(t, s.URL(), unmanaged).ready()
	expect.NoError(t, f.Relay.Close(t.Context()))
	for _, id := range []string{"a", "b"} {
		expect.NoError(t, expect.Err(f.Publisher.Publish(t.Context(), message(id))))
	}
	l := &lookup{Relay: f.Relay, kind: publish.Event}
	for i, id := range []string{"a", "b"} {
		f.waits(2*time.Hour, id)
		records, err := f.Spool.Next(publish.Event, 0, 2, maxBytes)
		expect.NoError(t, err)
		if known, err := l.stored(t.Context(), records[i:]); err != nil || known[id] == 0 {
			t.Fatalf("got %v, %v, want %s found", known, err, id)
		}
	}
}

// A scan may take minutes, in which the stream forgets copies that it knew when the scan began. So all
// records of a batch are looked up.
func TestLooksUpTheWholeBatch(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	makeStream(t, natsdtest.Connect(t, s.URL()), nil)
	f := start(t, s.URL(), unmanaged).ready()
	expect.NoError(t, f.Relay.Close(t.Context()))
	expect.NoError(t, expect.Err(f.Publisher.Publish(t.Context(), message("b"))))
	f.waits(2*time.Hour, "a")
	f.waits(0, "b")
	records, err := f.Spool.Next(publish.Event, 0, 2, maxBytes)
	expect.NoError(t, err)
	l := &lookup{Relay: f.Relay, kind: publish.Event}
	if known, err := l.stored(t.Context(), records); err != nil || known["b"] == 0 || known["a"] > 0 {
		t.Errorf("got %v, %v, want b found", known, err)
	}
}
