package relay

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// forgets makes a stream with a duplicate window of a tenth of a second.
func forgets(c *jetstream.StreamConfig) { c.Duplicates = 100 * time.Millisecond }

// storeAndForget stores messages as another instance might have, and waits until the stream has
// forgotten their ids.
func storeAndForget(t *testing.T, js jetstream.JetStream, ids ...string) {
	t.Helper()
	for _, id := range ids {
		publish := func(id string) bool {
			ack, err := js.Publish(t.Context(), subject, []byte("x"), jetstream.WithMsgID(id))
			expect.NoError(t, err)
			return ack.Duplicate
		}
		if publish(id) {
			t.Fatalf("%s was stored before", id)
		}
	}
	probes := 0 // one that is stored for the second time, later than the ids, shows that they are forgotten
	poll.Until(t, "forgotten", func() bool {
		ack, err := js.Publish(t.Context(), "webhooks.flock.probe", nil, jetstream.WithMsgID("probe after "+ids[0]))
		if err == nil && !ack.Duplicate {
			probes++
		}
		return probes == 2
	})
}

// count returns how often each id is stored, without the probes.
func count(t *testing.T, js jetstream.JetStream) map[string]int {
	n := make(map[string]int)
	for _, id := range natsdtest.IDs(t, js) {
		n[id]++
	}
	return n
}

// Events that the stream has stored and forgotten are not stored again: one scan finds them.
func TestLookup(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, forgets)
	storeAndForget(t, js, "1", "3", "399")
	s.Stop()
	f := start(t, s.URL(), unmanaged)
	f.publishes(publish.Spooled, numbered(0, 400)...)
	s.Start()
	f.delivered()
	n := count(t, natsdtest.Connect(t, s.URL()))
	for _, id := range numbered(0, 400) {
		if n[id] != 1 {
			t.Errorf("%s is stored %d times", id, n[id])
		}
	}
	expect.Equal(t, 3, f.seen.of("spool found"), "records found by a look-up")
	if f.seen.of("possible") != 0 || f.logged(sayLooked) == 0 {
		t.Errorf("possible duplicates: %d, scans: %d", f.seen.of("possible"), f.logged(sayLooked))
	}
}

// Within the window nothing is looked up.
func TestNoLookupWithinWindow(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	f := start(t, s.URL())
	f.publishes(publish.Spooled, numbered(0, 10)...)
	s.Start()
	f.delivered()
	expect.Equal(t, 0, f.logged(sayLooked), "scans of the stream")
}

// A record that has waited for longer than the stream remembers is looked up, and one scan is
// enough for the whole backlog.
func TestOneScanForABacklog(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.Duplicates = 25 * time.Hour })
	dir := t.TempDir()
	f := start(t, "nats://127.0.0.1:1", unmanaged, inDir(dir))
	for i := range 2000 {
		expect.NoError(t, f.Spool.Append(context.Background(), arrived(message(fmt.Sprint(i)), 2*time.Hour), time.Time{}))
	}
	f.close()
	f = start(t, s.URL(), unmanaged, inDir(dir))
	f.delivered()
	expect.Equal(t, 1, f.logged(sayLooked), "scans of the stream")
	stored(t, js, numbered(0, 2000)...)
}

// A window that is raised while no bridge runs doesn't bring back what the stream has forgotten.
func TestWindowIsRaisedBetweenProcesses(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, forgets)
	storeAndForget(t, js, "a")
	dir := t.TempDir()
	f := start(t, "nats://127.0.0.1:1", unmanaged, inDir(dir))
	f.publishes(publish.Spooled, "a", "b")
	f.close()
	stream, err := js.Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	config := stream.CachedInfo().Config
	config.Duplicates = 25 * time.Hour
	expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), config)))
	f = start(t, s.URL(), unmanaged, inDir(dir))
	f.delivered()
	if n := count(t, js); n["a"] != 1 || n["b"] != 1 {
		t.Errorf("stored %v", n)
	}
	f.publishes(publish.Stored, "c")
	expect.Equal(t, 1, f.logged(sayLooked), "scans of the stream")
}

// Without the rights to read the stream events are published all the same, and counted.
func TestNoRightsToLookUp(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account("webhooks.>"))
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
	makeStream(t, js, forgets)
	f := start(t, s.URL(), asBridge)
	poll.Until(t, "connected", func() bool { return f.Publisher.Ready(publish.Event) == nil })
	expect.NoError(t, f.Spool.Append(t.Context(), arrived(message("a"), time.Hour), time.Time{}))
	f.delivered()
	stored(t, js, "a")
	poll.Until(t, "counted", func() bool { return f.seen.of("possible") == 1 })
	expect.Equal(t, 1, f.logged(sayUnsure), "how often it was logged")
}

// The rights that the contract names suffice for looking up.
func TestRightsToLookUp(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account("webhooks.>", "$JS.API.CONSUMER.CREATE.WEBHOOKS.>", "$JS.API.CONSUMER.MSG.NEXT.WEBHOOKS.>", "$JS.API.CONSUMER.DELETE.WEBHOOKS.>"))
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
	makeStream(t, js, forgets)
	storeAndForget(t, js, "a")
	f := start(t, s.URL(), asBridge)
	poll.Until(t, "connected", func() bool { return f.Publisher.Ready(publish.Event) == nil })
	for _, id := range []string{"a", "b"} {
		expect.NoError(t, f.Spool.Append(t.Context(), arrived(message(id), time.Hour), time.Time{}))
	}
	f.delivered()
	if n := count(t, js); n["a"] != 1 || n["b"] != 1 {
		t.Errorf("stored %v", n)
	}
	expect.Equal(t, 0, f.seen.of("possible"), "possible duplicates counted")
	stream, err := js.Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	expect.Equal(t, 0, stream.CachedInfo().State.Consumers, "consumers left")
}

// How early a copy may have been stored, and how long the stream is sure to recognise it.
func TestReach(t *testing.T) {
	t.Parallel()
	const reach, window = 24 * time.Hour, 25 * time.Hour
	now := time.Unix(1e9, 0)
	for age, want := range map[time.Duration]bool{
		0: true, 58 * time.Minute: true, 59 * time.Minute: false, window: false, -time.Second: false, // a clock was set back
	} {
		expect.Equal(t, want, isRemembered(now.Add(-age), now, reach, window), "whether it is remembered after %s", age)
	}
	if got := firstCopy(now, now, reach); !got.Equal(now.Add(-reach - time.Minute)) {
		t.Errorf("first copy %s", now.Sub(got))
	}
	if got := firstCopy(now.Add(time.Second), now, reach); !got.IsZero() {
		t.Errorf("with a clock that was set back: %s", got)
	}
}

// A copy that another instance stored long before the record arrived is found, too.
func TestLooksBackAsFarAsCopiesReach(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, forgets)
	storeAndForget(t, js, "copy") // before the record arrives
	f := start(t, s.URL(), unmanaged)
	poll.Until(t, "connected", func() bool { return f.Publisher.Ready(publish.Event) == nil })
	expect.NoError(t, f.Spool.Append(t.Context(), arrived(message("copy"), 0), time.Time{}))
	f.delivered()
	expect.Equal(t, 1, count(t, js)["copy"], "how often it is stored")
}

// A failed scan covers no record.
func TestFailedScanCoversNothing(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, s.URL(), func(c *settings) { c.relay.Now = func() time.Time { return time.Now().Add(2 * time.Hour) } }).ready()
	l := &lookup{Relay: f.Relay, kind: publish.Event}
	first := spool.Record{Message: arrived(message("a"), -3*time.Hour), Seq: 1} // a clock was set back: all of the stream is read
	expect.NoError(t, expect.Err(l.stored(t.Context(), []spool.Record{first})))
	if status, err := f.Publisher.Publish(t.Context(), message("b")); status != publish.Stored || err != nil {
		t.Fatalf("publishing b: got %q, %v, want it stored", status, err)
	}
	if err := f.Relay.Close(t.Context()); err != nil { // nobody delivers it meanwhile
		t.Fatal(err)
	}
	expect.NoError(t, f.Spool.Append(t.Context(), arrived(message("b"), 0), time.Time{}))
	second := []spool.Record{{Message: arrived(message("b"), time.Second), Seq: f.Spool.Last()}}
	l.upTo = f.Spool.Last() - 1
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.stored(ended, second); err == nil {
		t.Fatal("the scan did not fail")
	}
	if a, err := l.stored(t.Context(), second); err != nil || a["b"] == 0 {
		t.Errorf("b is stored, and that is not known: %+v, %v", a, err)
	}
}

// A look-up doesn't count after an outage: the stream may have been restored from an older copy, and have grown again.
func TestLookupBeforeAnOutage(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, nil)
	for _, id := range []string{"a", "b"} {
		expect.NoError(t, expect.Err(js.Publish(t.Context(), subject, nil, jetstream.WithMsgID(id))))
	}
	f := start(t, s.URL(), unmanaged).ready()
	expect.NoError(t, f.Relay.Close(t.Context())) // nobody delivers them meanwhile
	var records []spool.Record
	for i, id := range []string{"a", "b"} {
		m := arrived(message(id), 2*time.Hour)
		expect.NoError(t, f.Spool.Append(t.Context(), m, time.Time{}))
		records = append(records, spool.Record{Message: m, Seq: uint64(i + 1)})
	}
	l := &lookup{Relay: f.Relay, kind: publish.Event}
	stored, err := l.stored(t.Context(), records)
	expect.NoError(t, err)
	expect.Equal(t, map[string]uint64{"a": 1, "b": 2}, stored, "stored")
	stream, err := js.Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	expect.NoError(t, stream.DeleteMsg(t.Context(), 1))
	f.restarts(s)
	stored, err = l.stored(t.Context(), records)
	expect.NoError(t, err)
	expect.Equal(t, map[string]uint64{"b": 2}, stored, "stored after the outage")
}

// Nobody can look up in a work queue. Records that it may have forgotten don't wait for that.
func TestWorkQueue(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	makeStream(t, natsdtest.Connect(t, s.URL()), func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy })
	f := start(t, s.URL(), unmanaged).ready()
	f.waits(48*time.Hour, "a", "b")
	f.delivered()
	poll.Until(t, "counted", func() bool { return f.seen.of("possible") == 2 })
	expect.Equal(t, 1, f.logged(sayUnsure), "how often it was logged")
}
