package publish

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMain(m *testing.M) {
	natsdtest.Main()
	_ = flag.Set("test.parallel", "16") // the tests wait more than they work
	natsdtest.VerifyTestMain(m)
}

const subject = "webhooks.flock.invitee.accepted"

// fixture is a publisher with its log.
type fixture struct {
	*Publisher
	t     testing.TB
	logs  *observer.ObservedLogs
	close func(context.Context) error // once
}

// open opens a publisher with the bridge's defaults, except for a longer time-out: a busy machine
// may take long for an acknowledgement.
func open(t testing.TB, url string, changes ...func(*Config)) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	c := Config{
		Server: Server{Name: "test", URL: url},
		Stream: Stream{
			Name: "WEBHOOKS", Prefix: "webhooks", Endpoints: []string{"flock", "frigade"},
			Manage: true, Replicas: 1, MaxAge: 168 * time.Hour, Duplicates: 25 * time.Hour,
		},
		Timeout: 20 * time.Second,
		Log:     zap.New(core),
	}
	for _, change := range changes {
		change(&c)
	}
	p, err := Open(c)
	expect.NoError(t, err)
	f := &fixture{Publisher: p, t: t, logs: logs}
	var once sync.Once
	f.close = func(ctx context.Context) (err error) {
		once.Do(func() { err = p.Close(ctx) })
		return err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := f.close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if t.Failed() {
			for _, entry := range logs.All() {
				t.Log(entry.Time.Format("15:04:05.000"), entry.Level, entry.Message, entry.ContextMap())
			}
		}
	})
	return f
}

// These settings are used by several tests.

func withTimeout(d time.Duration) func(*Config) { return func(c *Config) { c.Timeout = d } }
func unmanaged(c *Config)                       { c.Stream.Manage = false }

// connected waits until the publisher is ready.
func (f *fixture) connected() *fixture {
	f.t.Helper()
	poll.Until(f.t, "ready", func() bool { return f.Ready() == nil })
	return f
}

// notReady waits until the publisher isn't ready for this reason.
func (f *fixture) notReady(why string) {
	f.t.Helper()
	poll.Until(f.t, "not ready: "+why, func() bool {
		return strings.Contains(strings.ToLower(fmt.Sprint(f.Ready())), strings.ToLower(why))
	})
}

// Ready returns why events can't be published; nil if they can.
func (f *fixture) Ready() error { return f.Publisher.Ready(Event) }

func message(id string) Message {
	return Message{Subject: subject, ID: id, Data: []byte(id), Headers: []Header{{Name: "Content-Type", Value: event.ContentType}}}
}

// publish publishes a small event.
func (f *fixture) publish(id string) (Status, error) {
	return f.Publish(context.Background(), message(id))
}

// tries waits until connecting has failed that many times.
func (f *fixture) tries(n int) {
	f.t.Helper()
	for range n {
		before := f.lastError.Load()
		poll.Until(f.t, "tried again", func() bool { now := f.lastError.Load(); return now != nil && now != before })
	}
}

// stores publishes a small event that must be stored.
func (f *fixture) stores(id string) {
	f.t.Helper()
	f.takes(Stored, message(id))
}

// takes publishes a message that must become durable in that way.
func (f *fixture) takes(want Status, m Message) {
	f.t.Helper()
	if got, err := f.Publish(context.Background(), m); got != want || err != nil {
		f.t.Fatalf("publishing %s: got %q, %v, want %q", m.ID, got, err, want)
	}
}

// refuses publishes a small event that must be refused for now.
func (f *fixture) refuses(id string) {
	f.t.Helper()
	if status, err := f.publish(id); !errors.Is(err, ErrUnavailable) {
		f.t.Errorf("publishing %s: %q, %v; want %v", id, status, err, ErrUnavailable)
	}
}

// isOn reports whether the publisher is connected to that server.
func (f *fixture) isOn(s *natsdtest.Server) bool {
	return f.session.Load().nc.ConnectedAddr() == s.Addr()
}

// logged returns how often a message was logged.
func (f *fixture) logged(message string) int { return f.logs.FilterMessage(message).Len() }

// first returns the fields of the first line with a message. On a machine that stalls there may be none.
func (f *fixture) first(message string) map[string]any {
	f.t.Helper()
	lines := f.logs.FilterMessage(message).All()
	if len(lines) == 0 {
		f.t.Fatalf("not logged: %s", message)
	}
	return lines[0].ContextMap()
}

// says expects these lines in the log, and waits for them: a line may be written after the event that it
// tells of.
func (f *fixture) says(want ...string) {
	f.t.Helper()
	poll.Holds(func() bool { return len(f.messages()) >= len(want) })
	expect.Equal(f.t, want, f.messages(), "logged")
}

// messages returns all logged messages, in order.
func (f *fixture) messages() []string {
	var messages []string
	for _, entry := range f.logs.Filter(inTime).All() {
		messages = append(messages, entry.Message)
	}
	return messages
}

// inTime reports whether a line isn't about an attempt to connect that timed out, as on a busy machine.
func inTime(e observer.LoggedEntry) bool {
	return e.Message != sayUnreachable || !strings.Contains(fmt.Sprint(e.ContextMap()["error"]), "i/o timeout")
}

// The lines that the log may hold.
const (
	sayConnected    = "connected to NATS"
	sayDisconnected = "disconnected from NATS"
	sayUnreachable  = "NATS can't be reached, still trying"
	sayReady        = "stream is ready"
	sayNotReady     = "stream is not ready"
	sayChanged      = "stream has been changed as the configuration says"
	sayDiffers      = "stream differs from the configuration and was left unchanged"
	sayForgot       = "stream may not know all ids of its duplicate window yet: spooled records are looked up before they are published"
	sayMade         = "stream was missing and has been created"
	sayOther        = "stream is not that of the last check: it was deleted with its events and created again, or restored, or this is another NATS"
	sayLameDuck     = "NATS server is shutting down"
	sayForbidden    = "NATS account lacks a permission: grant it, see docs/operations.md"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	for _, step := range []struct {
		subject, id string
		want        Status
	}{
		{"webhooks.flock.invitee.accepted", "1", Stored},
		{"webhooks.flock.invitee.accepted", "2", Stored},
		{"webhooks.flock.invitee.accepted", "1", Duplicate},
		{"webhooks.frigade.flow.completed", "1", Duplicate}, // on whichever subject
	} {
		m := message(step.id)
		m.Subject, m.Data = step.subject, []byte(`{"a":1}`)
		got, err := f.Publish(t.Context(), m)
		if err != nil || got != step.want {
			t.Errorf("publishing %s on %s: %q, %v; want %q", step.id, step.subject, got, err, step.want)
		}
	}
	stream, err := natsdtest.Connect(t, s.URL()).Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	got := natsdtest.Message(t, stream, 1)
	for _, direct := range []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"} {
		got.Header.Del(direct) // what the server adds when it is asked for a message
	}
	want := nats.Header{"Content-Type": {event.ContentType}, "Nats-Msg-Id": {"1"}, "Nats-Expected-Stream": {"WEBHOOKS"}}
	expect.Equal(t, want, got.Header, "headers")
	if got.Subject != subject || string(got.Data) != `{"a":1}` {
		t.Errorf("stored %q on %s", got.Data, got.Subject)
	}
	expect.Equal(t, 2, stream.CachedInfo().State.Msgs, "messages stored")
}

// A publish ends with its context; without an acknowledgement it ends at the time-out.
func TestPublishWaitsNoLonger(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	patient := open(t, s.URL()).connected()
	hasty := open(t, s.URL(), withTimeout(50*time.Millisecond)).connected()
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := patient.Publish(ctx, Message{Subject: subject, ID: "1"})
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that ends: %v", err)
	}
	if _, err = hasty.publish("2"); !errors.Is(err, ErrUnavailable) || !errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
		t.Errorf("after the time-out: %v", err)
	}
	expect.Within(t, patient.config.Timeout, start, "all of it")
	s.Resume()
	// The other one's acknowledgement is still awaited, and comes.
	poll.Until(t, "no acknowledgement is awaited", func() bool { return patient.acks.waiting() == 0 })
}

// Concurrent publishes of equal and of different ids: each id is stored once.
func TestPublishConcurrently(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	a, b := open(t, s.URL()).connected(), open(t, s.URL()).connected()
	const ids = 50
	var group sync.WaitGroup
	for _, f := range []*fixture{a, a, b} {
		for i := range ids {
			group.Go(func() {
				if _, err := f.publish(fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	seen := make(map[string]int)
	for _, id := range natsdtest.IDs(t, natsdtest.Connect(t, s.URL())) {
		seen[id]++
	}
	for i := range ids {
		expect.Equal(t, 1, seen[fmt.Sprint(i)], "how often id %d is stored", i)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	api := func(code jetstream.ErrorCode, description string) error {
		return fmt.Errorf("nats: %w", &jetstream.APIError{ErrorCode: code, Description: description})
	}
	tooLarge, refused, unavailable := ErrTooLarge, ErrRefused, ErrUnavailable
	for _, test := range []struct {
		err   error
		cause Cause
		kind  error
	}{
		{nats.ErrMaxPayload, TooLarge, tooLarge},
		{api(10054, ""), TooLarge, tooLarge},
		{api(10060, ""), WrongStream, unavailable},
		{api(10059, ""), NoStream, unavailable},
		{jetstream.ErrNoStreamResponse, NoStream, unavailable},
		{api(10077, "maximum bytes exceeded"), StreamFull, unavailable},
		{api(10077, "maximum messages exceeded"), StreamFull, unavailable},
		{api(10077, "maximum messages per subject exceeded"), SubjectFull, refused},
		{api(10077, "message too large"), TooLarge, tooLarge}, // above 32 MiB
		{api(10077, "no space left on device"), NoStorage, unavailable},
		{api(10002, "resource limits exceeded for account"), NoStorage, unavailable},
		{api(10023, "insufficient resources"), NoStorage, unavailable},
		{api(10047, "insufficient storage resources available"), NoStorage, unavailable},
		{api(10109, "invalid operation on sealed stream"), Rejected, unavailable},
		{api(10158, "duplicate message id is in process"), Rejected, unavailable},
		{api(10167, "too many requests"), Busy, unavailable},
		{&foreignAck{"WEBHOOKS", "leaf"}, WrongStream, unavailable},
		{api(10008, "JetStream system temporarily unavailable"), NoStream, unavailable},
		{api(10039, "JetStream not enabled for account"), NoStream, unavailable},
		{api(10076, "JetStream not enabled"), NoStream, unavailable},
		{api(65535, ""), Rejected, unavailable},
		{jetstream.ErrAsyncPublishTimeout, TimedOut, unavailable},
		{nats.ErrDisconnected, Disconnected, unavailable},
		{nats.ErrHeadersNotSupported, Disconnected, unavailable}, // not connected yet
		{nats.ErrReconnectBufExceeded, Disconnected, unavailable},
		{jetstream.ErrTooManyStalledMsgs, Disconnected, unavailable},
		{context.DeadlineExceeded, TimedOut, unavailable},
		{os.ErrClosed, Disconnected, unavailable},
	} {
		if cause := classify(test.err); cause != test.cause || !errors.Is(causes[cause].reason, test.kind) {
			t.Errorf("classify(%v) = %s, and %v; want %s, %v", test.err, cause, causes[cause].reason, test.cause, test.kind)
		}
	}
}
