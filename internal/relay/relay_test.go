package relay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestDirect(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, s.URL()).ready()
	f.publishes(publish.Stored, "a", "b")
	f.publishes(publish.Duplicate, "a")
	stored(t, natsdtest.Connect(t, s.URL()), "a", "b")
	expect.Equal(t, 0, f.Spool.Last(), "records that went through the spool")
}

// Events that arrive while NATS is away are delivered in the order of their arrival, before later
// ones, even by the next process. Then events go directly again.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	dir := t.TempDir()
	f := start(t, s.URL(), inDir(dir))
	f.publishes(publish.Spooled, numbered(0, 700)...)
	f.publishes(publish.Spooled, "3") // once more
	f.close()
	f = start(t, s.URL(), inDir(dir))
	f.publishes(publish.Spooled, numbered(700, 800)...)
	poll.Until(t, "the log says that events wait", func() bool { return f.logged(sayBegan) > 0 })
	s.Start()
	f.delivered()
	f.ready().publishes(publish.Stored, "800")
	js := natsdtest.Connect(t, s.URL())
	stored(t, js, numbered(0, 801)...)
	poll.Until(t, "the log says that none does", func() bool { return f.logged(sayEmpty) > 0 })
	if f.logged(sayBegan) != 1 || f.logged(sayEmpty) != 1 {
		t.Errorf("logged %d times that events wait, %d times that none does", f.logged(sayBegan), f.logged(sayEmpty))
	}
	expect.Equal(t, 800, f.seen.of("spool stored"), "records counted")
	s.Stop()
	poll.Until(t, "disconnected", func() bool { return !f.Publisher.IsConnected() })
	f.publishes(publish.Spooled, "801")
	s.Start()
	f.delivered()
	stored(t, natsdtest.Connect(t, s.URL()), numbered(0, 802)...)
}

// A paused server answers nothing and closes no connection. Before and after that is noticed, everybody is
// answered within a second; after the first time-outs all others are spooled at once; no event is lost or
// stored twice.
func TestPause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ servers, size int }{
		"one server": {1, 10}, "several servers": {2, 10}, "more than the socket takes": {1, 100_000}, "more, and another server paused": {2, 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := ""
			for range 5 { // a busy machine may have too little time for all these senders
				if slow = pauseUnderLoad(t, test.servers, test.size); slow == "" {
					return
				}
			}
			t.Error(slow)
		})
	}
}

// pauseUnderLoad pauses a server under load, and returns what took too long; "" if nothing did.
func pauseUnderLoad(t *testing.T, servers, size int) (slow string) {
	t.Helper()
	s := natsdtest.StartProcess(t, "")
	urls := s.URL()
	for range servers - 1 {
		silent := natsdtest.StartProcess(t, "")
		silent.Pause()
		urls += "," + silent.URL()
	}
	f := start(t, urls, hasty).ready()
	s.Pause()
	var mu sync.Mutex
	var slowest time.Duration
	kept := make(map[string]bool)
	stoodStill := machine()
	var group, probing sync.WaitGroup
	var noticed atomic.Bool
	var slowestProbe time.Duration
	probing.Go(func() {
		for ; !noticed.Load(); time.Sleep(time.Millisecond) {
			began := time.Now()
			_, _ = f.Publisher.Ready(publish.Event), f.Publisher.IsConnected()
			slowestProbe = max(slowestProbe, time.Since(began))
		}
	})
	for i := range 200 {
		group.Go(func() {
			m := sized(fmt.Sprint(i), size)
			began := time.Now()
			_, err := f.Publish(context.Background(), m)
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, took)
			kept[m.ID] = err == nil
			if err != nil && took < answerBound/2 { // a slow disk uses up the time; half may be kept for NATS
				t.Errorf("%s was refused after %s: %v", m.ID, took, err)
			}
		})
		time.Sleep(time.Millisecond)
	}
	group.Wait()
	t.Logf("slowest answer %s, breaker %s", slowest, f.Breaker())
	poll.Until(t, "the loss is noticed", func() bool { return !f.Publisher.IsConnected() })
	noticed.Store(true)
	probing.Wait()
	if held := stoodStill(); max(slowest, slowestProbe) > time.Second+2*held {
		slow = fmt.Sprintf("the slowest answer took %s, to a probe %s, and the machine stood still for %s at the most", slowest, slowestProbe, held)
	}
	stoodStill = machine()
	began := time.Now()
	f.publishes(publish.Spooled, "at once")
	took := time.Since(began)
	if held := stoodStill(); took > time.Second+2*held {
		slow = fmt.Sprintf("publishing, though it is known that NATS doesn't answer, took %s, and the machine stood still for %s at the most", took, held)
	}
	s.Resume()
	f.delivered()
	seen := make(map[string]int)
	for _, id := range natsdtest.IDs(t, natsdtest.Connect(t, s.URL())) {
		seen[id]++
	}
	kept["at once"] = true
	for id, ok := range kept {
		if ok && seen[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
	for id, n := range seen {
		expect.Equal(t, 1, n, "how often %s is stored", id)
	}
	poll.Until(t, "the breaker is closed", func() bool { return f.Breaker() == "closed" })
	return slow
}

// A full stream blocks everything, and the log says so once, until somebody makes room.
func TestStreamFull(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.MaxMsgs = 2 })
	f := start(t, s.URL(), unmanaged).ready()
	f.publishes(publish.Stored, "a", "b")
	f.publishes(publish.Spooled, "c", "d", "e")
	poll.Until(t, "alarm", func() bool { return f.logged(sayAlarm) == 1 && f.Blocked(publish.Event) == publish.StreamFull })
	entry := f.logs.FilterMessage(sayAlarm).All()[0].ContextMap()
	if entry["cause"] != "stream_full" || !strings.Contains(fmt.Sprint(entry["remedy"]), "raise") {
		t.Errorf("logged %v", entry)
	}
	poll.Until(t, "several attempts", func() bool { return f.seen.of("spool stream_full") > 4 })
	expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Discard: jetstream.DiscardNew, Duplicates: 25 * time.Hour})))
	f.delivered()
	stored(t, js, "a", "b", "c", "d", "e")
	poll.Until(t, "not blocked", func() bool { return f.Blocked(publish.Event) == "" })
	expect.Equal(t, 1, f.logged(sayAlarm), "alarms")
}

// The caller's deadline counts, unless PUBLISH_TIMEOUT leaves the spool no time.
func TestBound(t *testing.T) {
	deadline := time.Now().Add(50 * time.Millisecond)
	usual, long := &Relay{timeout: 400 * time.Millisecond}, &Relay{timeout: 2 * time.Second}
	if got := usual.bound(deadline); !got.Equal(deadline) {
		t.Errorf("%s after the deadline", got.Sub(deadline))
	}
	began := time.Now()
	if got := long.bound(deadline).Sub(began); got < 2*time.Second {
		t.Errorf("with a long time-out it is %s", got)
	}
}

// Once it is logged that nothing can be delivered, it is logged when everything is, however soon.
func TestSaysThatTheAlarmIsOver(t *testing.T) {
	t.Parallel()
	f := start(t, natsdtest.Start(t, "").URL())
	forwarder := newForwarder(f.Relay, publish.Event)
	forwarder.beginBacklog(spool.Record{})
	forwarder.alarm(&publish.Error{Cause: publish.StreamFull})
	forwarder.endBacklog()
	expect.Equal(t, 1, f.logged(sayAlarm), "logged that nothing can be delivered")
	expect.Equal(t, 1, f.logged(sayEmpty), "logged that everything is delivered")
	forwarder.beginBacklog(spool.Record{})
	forwarder.endBacklog()
	expect.Equal(t, 1, f.logged(sayEmpty), "logged after a backlog without an alarm")
}
