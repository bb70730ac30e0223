package relay

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
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

func (c *counts) PossiblyDuplicate(publish.Kind) { c.add("possible") }

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
			Reach:         24*time.Hour + 5*time.Minute,
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
	c.publish.Timeout = 400 * time.Millisecond
}

func unmanaged(c *settings) {
	c.publish.Stream.Manage = false
	c.publish.Quarantine = nil
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

// restarts restarts the server, and waits until the stream is ready again.
func (f *fixture) restarts(s *natsdtest.Server) {
	f.t.Helper()
	before := f.Publisher.Epoch(publish.Event)
	s.Stop()
	s.Start()
	poll.Until(f.t, "ready again", func() bool {
		return f.Publisher.Epoch(publish.Event) > before && f.Publisher.Ready(publish.Event) == nil
	})
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
	return f.Relay.Publish(context.Background(), time.Now().Add(poll.Bound), m)
}

// Publish publishes a message for a sender that waits for a second.
func (f *fixture) Publish(ctx context.Context, m publish.Message) (publish.Status, error) {
	return f.Relay.Publish(ctx, time.Now().Add(answerBound), m)
}

// delivered waits until the spool is empty.
func (f *fixture) delivered() {
	f.t.Helper()
	poll.Until(f.t, "the spool is empty", func() bool { return f.waiting() == 0 })
}

func (f *fixture) waiting() (n int64) {
	for _, kind := range f.Publisher.Kinds() {
		n += f.Spool.Len(kind)
	}
	return n
}

func (f *fixture) logged(message string) int { return f.logs.FilterMessage(message).Len() }

const (
	sayBegan   = "events wait in the spool; new ones go there too until it is empty"
	sayEmpty   = "spool is empty, events go to NATS directly"
	sayAside   = "message is set aside in the spool: NATS refuses it; it is retried every minute, and others don't wait for it"
	sayAlarm   = "events can't be delivered and wait in the spool until the cause is removed"
	sayLooked  = "looked up in the stream which events are stored already"
	sayGivenUp = "looking up older spooled events in the stream has failed for an hour: they are published, and counted as possible duplicates"
	sayUnsure  = "older spooled events can't be looked up in the stream: they are published, and counted as possible duplicates"
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
