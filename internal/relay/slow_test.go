package relay

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// Acknowledgements come too late for the senders: each event is kept in time and delivered once,
// and the spool doesn't fill.
func TestSlowAcknowledgements(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, natsdtest.SlowLine(t, s, 450*time.Millisecond, 0).URL, hasty).ready()
	var senders sync.WaitGroup
	for _, id := range []string{"a", "b", "c"} {
		senders.Go(func() { f.publishes(publish.Spooled, id) })
	}
	senders.Wait()
	want := numbered(0, 200)
	f.publishes(publish.Spooled, want...)
	f.delivered()
	got := natsdtest.IDs(t, natsdtest.Connect(t, s.URL()))
	if slices.Sort(got[:3]); !slices.Equal(got, append([]string{"a", "b", "c"}, want...)) {
		t.Errorf("stored %q", got)
	}
	again := 0
	poll.Until(t, "a late acknowledgement of a direct attempt settles its record", func() bool {
		if f.seen.of("spool found") > 0 {
			return true
		}
		f.breakers[publish.Event].report(true) // on a slow machine the record was sent again before: once more
		again++
		f.publishes(publish.Spooled, fmt.Sprint("again ", again))
		f.delivered()
		return false
	})
	expect.Equal(t, 0, f.Spool.Stats().SetAside, "records set aside")
}

// With two seconds for each acknowledgement a backlog is delivered in thousands, not one by one.
func TestLatencyOfSeconds(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	dir := t.TempDir()
	away := start(t, s.URL(), inDir(dir), hasty)
	want := numbered(0, 3000)
	var senders sync.WaitGroup
	for part := range 30 {
		senders.Go(func() { away.publishes(publish.Spooled, want[part*100:(part+1)*100]...) })
	}
	senders.Wait()
	away.close()
	s.Start()
	f := start(t, natsdtest.SlowLine(t, s, 2*time.Second, 0).URL, inDir(dir), hasty)
	f.delivered() // one at a time would take 6,000 s
	got := natsdtest.IDs(t, natsdtest.Connect(t, s.URL()))
	slices.Sort(got)
	slices.Sort(want)
	expect.Equal(t, want, got, "stored")
}

// An event of 480 KB on a line of 4 Mbit/s takes longer than a sender waits. It is stored once, and
// the late acknowledgement sets nothing aside.
func TestSlowLine(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, natsdtest.SlowLine(t, s, 0, 1<<19).URL, hasty).ready()
	large := message("large")
	large.Data = fmt.Appendf(nil, "%q", make([]byte, 120<<10)) // \x00 is four bytes
	f.takes(publish.Spooled, large)
	small := numbered(0, 50)
	for _, id := range small {
		if _, err := f.patiently(message(id)); err != nil {
			t.Error(err)
		}
	}
	f.delivered()
	stored(t, natsdtest.Connect(t, s.URL()), append([]string{"large"}, small...)...)
	if n := f.Spool.Stats().SetAside; n != 0 || f.logged(sayAside) != 0 {
		t.Errorf("%d are set aside", n)
	}
}

// A late acknowledgement settles only its own delivery, however the clock was set, and only while
// the stream that gave it exists and has the message.
func TestLateAcknowledgement(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, s.URL()).ready()
	js := natsdtest.Connect(t, s.URL())
	info, err := f.Publisher.Info(t.Context(), publish.Event)
	expect.NoError(t, err)
	now := time.Now()
	l := &lookup{Relay: f.Relay, kind: publish.Event}
	deliver := func(seq uint64, id string, arrived time.Time) {
		t.Helper()
		m := message(id)
		m.Arrived = arrived
		result := f.deliver(t.Context(), l, []spool.Record{{Seq: seq, Message: m}})[0]
		if result.Err != nil {
			t.Error(result.Err)
		}
	}
	late := func(id string, sequence uint64) {
		at := publish.Place{StreamCreated: info.Created, Epoch: f.Publisher.Epoch(publish.Event), Sequence: sequence}
		f.acked.add(publish.Delivery{Kind: publish.Event, ID: id, Arrived: now.UnixNano()}, at)
	}
	late("its own", 0)
	deliver(1, "its own", time.Unix(0, now.UnixNano()))
	late("earlier delivery's", 0)
	deliver(2, "earlier delivery's", now.Add(-time.Minute)) // the clock was set back
	stored(t, js, "earlier delivery's")
	late("gone with a restored copy", 3)
	late("gone with the same copy", 2)
	deliver(3, "gone with a restored copy", now) // the stream has two messages now, as before it was restored
	deliver(4, "gone with the same copy", now)
	stored(t, js, "earlier delivery's", "gone with a restored copy", "gone with the same copy")
	late("before an outage", 1)
	f.restarts(s) // with a restored store, perhaps, and the stream has grown again
	js = natsdtest.Connect(t, s.URL())
	deliver(5, "before an outage", now)
	stored(t, js, "earlier delivery's", "gone with a restored copy", "gone with the same copy", "before an outage")
	late("of another stream", 0)
	expect.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
	makeStream(t, js, nil)
	deliver(6, "of another stream", now)
	stored(t, js, "of another stream")
}

// While acknowledgements are too slow for senders, a steady flow goes through the spool, which
// doesn't grow. Once they are fast again events go directly, though the flow never pauses.
func TestDirectAgain(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	line := natsdtest.SlowLine(t, s, 0, 0)
	f := start(t, line.URL, hasty).ready()
	line.Delay.Store(int64(450 * time.Millisecond))
	send := func(i int) publish.Status {
		status, err := f.patiently(message(fmt.Sprint(i)))
		expect.NoError(t, err)
		time.Sleep(10 * time.Millisecond)
		return status
	}
	var together sync.WaitGroup
	for i := range breaksAfter {
		together.Go(func() { f.publishes(publish.Spooled, fmt.Sprint("together ", i)) })
	}
	together.Wait()
	const slow = 400
	for i := range slow {
		if status := send(i); status != publish.Spooled {
			t.Fatalf("event %d: %s", i, status)
		}
	}
	if n := f.Spool.Len(publish.Event); n > slow/2 || f.Breaker() == "closed" {
		t.Errorf("%d of %d events wait, the breaker is %s", n, slow, f.Breaker())
	}
	line.Delay.Store(0)
	next := slow
	poll.Until(t, "events go directly", func() bool { next++; return send(next) == publish.Stored })
	if n := f.Spool.Stats().SetAside; f.Breaker() != "closed" || n != 0 {
		t.Errorf("the breaker is %s, %d are set aside", f.Breaker(), n)
	}
}

// If the last acknowledgements came late, nothing is left to be published. The breaker closes nevertheless.
func TestBreakerClosesWithoutTraffic(t *testing.T) {
	t.Parallel()
	f := start(t, natsdtest.Start(t, "").URL(), func(c *settings) { c.relay.quiet = 50 * time.Millisecond }).ready()
	for range breaksAfter {
		f.breakers[publish.Event].report(false)
	}
	poll.Until(t, "the breaker is closed", func() bool { return f.Breaker() == "closed" })
}
