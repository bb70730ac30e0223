package relay

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMain(m *testing.M) {
	// The spools and NATS' stores are in memory, where the system has such a directory: a message waits
	// for the disk for less than a second, and that of a busy machine may take longer.
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		_ = os.Setenv("TMPDIR", "/dev/shm")
	}
	natsdtest.Main()
	_ = flag.Set("test.parallel", "16") // the tests wait more than they work
	natsdtest.VerifyTestMain(m)
}

// fixture is a relay with a publisher and a spool of its own.
type fixture struct {
	*Relay
	t     testing.TB
	logs  *observer.ObservedLogs
	seen  *counts
	close func() // once
}

// settings are the parts that a test may change.
type settings struct {
	publish publish.Config
	spool   spool.Config
	relay   Config
}

// counts is an observer that counts.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[what]++
}

func (c *counts) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

func (c *counts) Published(_ publish.Kind, way, outcome string) { c.add(way + " " + outcome) }
func (c *counts) PossiblyDuplicate(publish.Kind)                { c.add("possible") }

// start runs a relay with the bridge's defaults, but for the time-out: a busy machine may take long
// for an acknowledgement.
func start(t testing.TB, url string, changes ...func(*settings)) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	log := zap.New(core)
	stream := publish.Stream{
		Name: "WEBHOOKS", Prefix: "webhooks", Endpoints: []string{"flock", "frigade"}, Manage: true, Replicas: 1, MaxAge: 168 * time.Hour, Duplicates: 25 * time.Hour,
	}
	quarantine := stream
	quarantine.Name, quarantine.Prefix, quarantine.DropOldest = "WEBHOOKS_QUARANTINE", "webhooks-quarantine", true
	seen := &counts{n: make(map[string]int)}
	c := settings{
		publish: publish.Config{Server: publish.Server{Name: "test", URL: url}, Stream: stream, Quarantine: &quarantine, Timeout: 10 * time.Second, Log: log},
		spool:   spool.Config{Dir: t.TempDir(), MaxBytes: 1 << 30, Log: log},
		relay: Config{
			Kinds: []publish.Kind{publish.Event, publish.Quarantined}, Timeout: 10 * time.Second, Reach: 24*time.Hour + 5*time.Minute,
			RetrySetAside: 50 * time.Millisecond, Observer: seen, Log: log, Now: time.Now,
		},
	}
	for _, change := range changes {
		change(&c)
	}
	var err error
	if c.relay.Publisher, err = publish.Open(c.publish); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the spool is free", func() bool { // a child that another test forks has its lock until it executes
		c.relay.Spool, err = spool.Open(c.spool)
		return !errors.Is(err, fileio.ErrInUse)
	})
	expect.NoError(t, err)
	poll.Until(t, "the spool was read", func() bool { _, _, isRunning := c.relay.Spool.Recovery(); return !isRunning })
	f := &fixture{Relay: Start(c.relay), t: t, logs: logs, seen: seen}
	f.close = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(f.Relay.Close(ctx), f.Publisher.Close(ctx), f.Spool.Close(ctx)); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	t.Cleanup(func() {
		f.close()
		if t.Failed() {
			for _, entry := range logs.All() {
				t.Log(entry.Time.Format("15:04:05.000"), entry.Level, entry.Message, entry.ContextMap())
			}
		}
	})
	return f
}

// These settings are used by several tests.

func hasty(c *settings) {
	c.publish.Timeout, c.relay.Timeout = 400*time.Millisecond, 400*time.Millisecond
}

func unmanaged(c *settings) {
	c.publish.Stream.Manage = false
	c.publish.Quarantine = nil
	c.relay.Kinds = c.relay.Kinds[:1]
}

func inDir(dir string) func(*settings) { return func(c *settings) { c.spool.Dir = dir } }

func asBridge(c *settings) {
	unmanaged(c)
	c.publish.Server.User, c.publish.Server.Password = "bridge", secret.New("bridge")
}

const subject = "webhooks.flock.invitee.accepted"

func message(id string) publish.Message {
	return publish.Message{Subject: subject, ID: id, Data: []byte(`"` + id + `"`), Headers: []publish.Header{{Name: "Content-Type", Value: "text/plain"}}}
}

// sized returns a message with so many bytes.
func sized(id string, size int) publish.Message {
	m := message(id)
	m.Data = make([]byte, size)
	return m
}

// arrived returns the message as having arrived so long ago.
func arrived(m publish.Message, ago time.Duration) publish.Message {
	m.Arrived = time.Now().Add(-ago)
	return m
}

// ready waits until events go to NATS directly.
func (f *fixture) ready() *fixture {
	f.t.Helper()
	poll.Until(f.t, "ready", func() bool { return f.isDirect(publish.Event) })
	return f
}

// publishes publishes messages that must become durable in that way.
func (f *fixture) publishes(want publish.Status, ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		f.takes(want, message(id))
	}
}

// takes publishes a message that must become durable in that way.
func (f *fixture) takes(want publish.Status, m publish.Message) {
	f.t.Helper()
	if got, err := f.patiently(m); got != want || err != nil {
		f.t.Errorf("publishing %s: got %q, %v, want %q", m.ID, got, err, want)
	}
}

// patiently publishes a message for a sender that waits longer than a second: a machine that stalls may
// spend that between a time-out and the spool.
func (f *fixture) patiently(m publish.Message) (publish.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), poll.Bound)
	defer cancel()
	return f.Publish(ctx, m)
}

// delivered waits until the spool is empty.
func (f *fixture) delivered() {
	f.t.Helper()
	poll.Until(f.t, "the spool is empty", func() bool { return f.waiting() == 0 })
}

func (f *fixture) waiting() (n int64) {
	for _, kind := range f.Kinds {
		n += f.Spool.Len(kind)
	}
	return n
}

func (f *fixture) logged(message string) int { return f.logs.FilterMessage(message).Len() }

const (
	sayBegan   = "events wait in the spool; new ones go there too until it is empty"
	sayEmpty   = "spool is empty, events go to NATS directly"
	sayAside   = "message is set aside in the spool: NATS refuses it but takes others; it is retried every minute"
	sayAlarm   = "events can't be delivered and wait in the spool until the cause is removed"
	sayLooked  = "looked up in the stream which events are stored already"
	sayGivenUp = "looking up older spooled events in the stream has failed for an hour: they are published, and counted as possible duplicates"
	sayUnsure  = "older spooled events can't be looked up in the stream: they are published, and counted as possible duplicates; grant the rights, see docs/operations.md"
)

// makeStream makes the stream of events as the test wants it.
func makeStream(t testing.TB, js jetstream.JetStream, change func(*jetstream.StreamConfig)) {
	t.Helper()
	c := jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Discard: jetstream.DiscardNew, Duplicates: 25 * time.Hour}
	if change != nil {
		change(&c)
	}
	natsdtest.CreateStream(t, js, c)
}

// stored expects the stream to hold exactly these, in order.
func stored(t testing.TB, js jetstream.JetStream, want ...string) {
	t.Helper()
	expect.Equal(t, want, natsdtest.IDs(t, js), "stored")
}

func numbered(from, to int) (ids []string) {
	for i := from; i < to; i++ {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}

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

// A paused server answers nothing and closes nothing. Before and after that is noticed, everybody is
// answered within a second; the first time-outs divert all others at once; nothing is lost or stored
// twice.
func TestPause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ servers, size int }{
		"one server": {1, 10}, "several servers": {2, 10}, "more than the socket takes": {1, 100_000}, "more, and another server paused": {2, 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.StartProcess(t, "")
			urls := s.URL()
			for range test.servers - 1 {
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
					m := sized(fmt.Sprint(i), test.size)
					began := time.Now()
					_, err := f.Publish(context.Background(), m)
					took := time.Since(began)
					mu.Lock()
					defer mu.Unlock()
					slowest = max(slowest, took)
					kept[m.ID] = err == nil
					if err != nil && took < answerBound { // a slow disk uses up the time
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
				t.Errorf("the slowest answer took %s, to a probe %s, and the machine stood still for %s at the most", slowest, slowestProbe, held)
			}
			stoodStill = machine()
			began := time.Now()
			f.publishes(publish.Spooled, "at once")
			took := time.Since(began)
			if held := stoodStill(); took > time.Second+2*held {
				t.Errorf("publishing, though it is known that NATS doesn't answer, took %s, and the machine stood still for %s at the most", took, held)
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
		})
	}
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

// The caller's deadline counts, unless PUBLISH_TIMEOUT leaves the spool no time before it.
func TestBound(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	deadline, _ := ctx.Deadline()
	usual, long := &Relay{Config: Config{Timeout: 400 * time.Millisecond}}, &Relay{Config: Config{Timeout: 2 * time.Second}}
	if got := usual.bound(ctx); !got.Equal(deadline) {
		t.Errorf("%s after the deadline", got.Sub(deadline))
	}
	if got := time.Until(usual.bound(t.Context())); got > answerBound {
		t.Errorf("without a deadline it is %s", got)
	}
	began := time.Now()
	if got := long.bound(ctx).Sub(began); got < 2*time.Second {
		t.Errorf("with a long time-out it is %s", got)
	}
}

// A context of package ingest has a deadline, but never ends. The relay's ends at the bound, even if that is later.
func TestBoundEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for _, after := range []time.Duration{answerBound, 2 * time.Second} {
			ctx, cancel := until(endless{t.Context(), began.Add(answerBound)}, began.Add(after))
			defer cancel()
			select {
			case <-ctx.Done():
				expect.Equal(t, after, time.Since(began), "the bound")
			case <-time.After(time.Hour):
				t.Errorf("it doesn't end after %s", after)
			}
		}
	})
}

// endless has a deadline, but never ends.
type endless struct {
	context.Context
	deadline time.Time
}

func (c endless) Deadline() (time.Time, bool) { return c.deadline, true }
