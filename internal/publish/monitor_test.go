package publish

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMakesStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), func(c *Config) { c.Stream.MaxBytes = 1 << 30 }).connected()
	stream, err := natsdtest.Connect(t, s.URL()).Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	got := stream.CachedInfo().Config
	want := jetstream.StreamConfig{
		Name: "WEBHOOKS", Description: "Webhooks as CloudEvents, published by webhook-bridge", Subjects: []string{"webhooks.>"},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
		Replicas: 1, MaxAge: 168 * time.Hour, MaxBytes: 1 << 30, Duplicates: 25 * time.Hour, AllowDirect: true,
		MaxMsgs: -1, MaxMsgSize: -1, MaxConsumers: -1, MaxMsgsPerSubject: -1, Metadata: got.Metadata,
	}
	expect.Equal(t, want, got, "stream")
	f.says(sayConnected, sayReady)
	expect.Equal[any](t, true, f.first(sayReady)["created"], "created")
}

// A stream that somebody else has made is used as it is, except for explicitly set variables; its
// messages stay.
func TestReconcilesExistingStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	stream := natsdtest.CreateStream(t, js, jetstream.StreamConfig{
		Name: "WEBHOOKS", Description: "theirs", Subjects: []string{"webhooks.>", "theirs"}, MaxAge: time.Hour, MaxBytes: 1 << 20, Duplicates: time.Minute, MaxMsgSize: 1000,
	})
	expect.NoError(t, expect.Err(js.Publish(t.Context(), "theirs", nil, jetstream.WithMsgID("old"))))
	before := stream.CachedInfo().Config

	f := open(t, s.URL(), func(c *Config) { // the age is not set, and what it allows is not enough for the duplicates
		c.Stream.MaxBytes, c.Stream.Explicit.MaxBytes = 1<<21, true
		c.Stream.Duplicates, c.Stream.Explicit.Duplicates = 30*time.Minute, true
	}).connected()
	f.stores("new")
	info, err := stream.Info(t.Context())
	expect.NoError(t, err)
	want := before
	want.MaxBytes, want.Discard, want.Duplicates = 1<<21, jetstream.DiscardNew, 30*time.Minute
	expect.Equal(t, want, info.Config, "stream")
	expect.Equal(t, []string{"old", "new"}, natsdtest.IDs(t, js), "stored")
	f.says(sayConnected, sayForgot, sayChanged, sayDiffers, sayReady)
	wantChanges := []any{"STREAM_MAX_BYTES from 1MiB to 2MiB", "discard policy from DiscardOld to DiscardNew", "STREAM_DUPLICATES from 1m to 30m"}
	expect.Equal[any](t, wantChanges, f.first(sayChanged)["changes"], "changes")
	wantDifferences := []any{"STREAM_MAX_AGE is 1h, not 168h", "subject list is webhooks.> theirs, not webhooks.>", "max_msg_size is 1000 bytes, not no limit"}
	expect.Equal[any](t, wantDifferences, f.first(sayDiffers)["differences"], "differences")
}

// A setting that can't be applied is logged, the others are applied, and the stream is used: three
// replicas need three servers.
func TestCannotApply(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	open(t, s.URL()).connected()
	f := open(t, s.URL(), func(c *Config) {
		c.Stream.Replicas, c.Stream.Explicit.Replicas = 3, true
		c.Stream.MaxAge, c.Stream.Explicit.MaxAge = 170*time.Hour, true
	}).connected()
	f.stores("1")
	said := fmt.Sprint(f.logs.FilterMessage(sayDiffers).All())
	if !strings.Contains(said, "STREAM_REPLICAS from 1 to 3 could not be applied") || !strings.Contains(said, "replicas > 1 not supported in non-clustered mode") {
		t.Errorf("logged %s", said)
	}
	expect.Equal(t, 1, f.logged(sayChanged), "changes logged")
	stream, err := natsdtest.Connect(t, s.URL()).Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	expect.Equal(t, 170*time.Hour, stream.CachedInfo().Config.MaxAge, "the age")
}

// Two instances that start at the same time make one stream, even with different settings.
func TestTwoInstancesMakeStream(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		s := natsdtest.New(t, "")
		var both []*fixture
		for i := range 2 {
			both = append(both, open(t, s.URL(), func(c *Config) { c.Stream.MaxAge += time.Duration(i+round%2) * time.Hour }))
		}
		s.Start()
		made := 0
		for i, f := range both {
			f.connected().stores(fmt.Sprint(i))
			if f.first(sayReady)["created"] == true {
				made++
			}
			if f.logged(sayNotReady) > 0 {
				t.Errorf("an error was logged: %q", f.messages())
			}
		}
		if made == 0 {
			t.Error("nobody says to have made the stream")
		}
	}
}

// A stream that is deleted while the bridge is connected is made again.
func TestMakesStreamAgain(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	f.stores("lost")
	js := natsdtest.Connect(t, s.URL())
	for round := range 2 {
		expect.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
		if round == 0 { // later a check that was asked for before may have made it again already
			f.refuses("refused")
		}
		poll.Until(t, "stored again", func() bool { _, err := f.publish("again"); return err == nil })
		expect.Equal(t, []string{"again"}, natsdtest.IDs(t, js), "stored")
		poll.Until(t, "it is said", func() bool { return f.logged(sayMade) == round+1 && f.logged(sayOther) == round+1 })
	}
	f.connected()
}

// makeStream makes the stream. Right after the deletion of another one the server may refuse it for
// a moment.
func makeStream(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}})
}

// With STREAM_MANAGE=false the log says what to do, and the publisher continues once somebody has
// done it.
func TestWaitsForStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	f := open(t, s.URL(), unmanaged)
	const want = "stream WEBHOOKS does not exist: create it (`bridge stream` prints how), or let `bridge serve` with STREAM_MANAGE=true do so"
	appears := func() {
		t.Helper()
		poll.Until(t, "the error", func() bool { err := f.Ready(); return err != nil && err.Error() == want })
		f.refuses("early")
		makeStream(t, js)
		f.connected().stores("after")
		expect.Equal(t, []string{"after"}, natsdtest.IDs(t, js), "stored")
	}
	appears()
	expect.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
	f.refuses("gone")
	appears()
	expect.Equal(t, 2, f.logged(sayNotReady), "how often the error was logged")
}

// "No responders" is an immediate answer: nats.go would retry for half a second, and reorder the
// messages that come meanwhile.
func TestDoesNotRetry(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), unmanaged)
	poll.Until(t, "connected", f.IsConnected)
	poll.Until(t, "refused at once", func() bool { // one is enough: a busy machine may be slow
		start := time.Now()
		_, err := f.publish("1")
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, jetstream.ErrNoStreamResponse) {
			t.Fatal(err)
		}
		return time.Since(start) < jetstream.DefaultPubRetryWait
	})
}

// Events must not be stored in somebody else's stream.
func TestSubjectIsTaken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"managed", func(*Config) {}, "stream WEBHOOKS can't be created, because another stream has subjects of webhooks.>: remove them from that stream (`nats stream find --subject 'webhooks.>'`), or set STREAM_NAME to it, or change SUBJECT_PREFIX"},
		{"unmanaged", unmanaged, "stream WEBHOOKS does not exist: create it (`bridge stream` prints how), or let `bridge serve` with STREAM_MANAGE=true do so"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, "")
			js := natsdtest.Connect(t, s.URL())
			other := natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"webhooks.flock.>"}})
			f := open(t, s.URL(), test.change)
			poll.Until(t, "the error", func() bool { err := f.Ready(); return err != nil && strings.HasPrefix(err.Error(), test.want) })
			_, err := f.publish("1")
			var api *jetstream.APIError
			if !errors.Is(err, ErrUnavailable) || !errors.As(err, &api) || api.ErrorCode != 10060 {
				t.Errorf("publishing: %v", err)
			}
			if info, err := other.Info(t.Context()); err != nil || info.State.Msgs != 0 {
				t.Errorf("the other stream: %v, %v", info.State, err)
			}
			expect.NoError(t, js.DeleteStream(t.Context(), "OTHER"))
			if test.name == "unmanaged" {
				makeStream(t, js)
			}
			f.connected().stores("1")
		})
	}
}

// Our stream exists, but doesn't take the events' subjects.
func TestStreamTakesOtherSubjects(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.flock.>"}})
	f := open(t, s.URL())
	const want = "stream WEBHOOKS has the subjects webhooks.flock.> and does not take webhooks.frigade.>: add webhooks.> to them, or set STREAM_NAME to another stream"
	poll.Until(t, "the error", func() bool { err := f.Ready(); return err != nil && err.Error() == want })
	f.stores("flock's") // whose events it does take
	expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}})))
	f.connected()
}

func TestWithoutJetStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "jetstream: disabled")
	f := open(t, s.URL())
	const want = "stream WEBHOOKS: JetStream is not available: enable it on the server and for our account; at a leaf node, set NATS_JS_DOMAIN"
	poll.Until(t, "the error", func() bool { err := f.Ready(); return err != nil && strings.HasPrefix(err.Error(), want) })
	f.refuses("1")
	s.Stop()
	s.Configure("")
	s.Start()
	f.connected().stores("1")
}

// A full stream refuses new events and keeps old ones.
func TestStreamIsFull(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), func(c *Config) { c.Stream.MaxBytes = 20_000 }).connected()
	var kept []string
	for i := range 1000 {
		id := fmt.Sprint(i)
		_, err := f.Publish(t.Context(), Message{Subject: subject, ID: id, Data: make([]byte, 1000)})
		if err != nil {
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "10077") {
				t.Errorf("publishing: %v", err)
			}
			break
		}
		kept = append(kept, id)
	}
	if len(kept) < 10 || len(kept) > 20 {
		t.Errorf("%d messages fit", len(kept))
	}
	js := natsdtest.Connect(t, s.URL())
	expect.Equal(t, kept, natsdtest.IDs(t, js), "stored")
	if err := f.Ready(); err != nil {
		t.Errorf("ready: %v", err)
	}
}

// JetStream's API is overloaded and drops requests: a stream that was checked before still takes
// messages.
func TestCheckIsNotAnswered(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	silent := natsdtest.Connect(t, s.URL()).Conn()
	expect.NoError(t, expect.Err(silent.SubscribeSync("silent")))
	expect.NoError(t, silent.Flush())
	s.Reload(`mappings { "$JS.API.STREAM.INFO.WEBHOOKS": silent }`)
	f.monitors[Event].check()
	poll.Until(t, "the check has failed", func() bool { return f.monitors[Event].lastError.Load() != nil })
	expect.NoError(t, f.Ready())
	f.stores("a")
	expect.Equal(t, 0, f.logged(sayNotReady), "how often the stream was said not to be ready")
	s.Reload(`mappings {}`)
	poll.Until(t, "the log says that the stream is checked again, long before the next regular check", func() bool {
		return f.logged("stream can be checked again") == 1
	})
}

// While JetStream elects a leader it doesn't answer. A new session asks again long before the time-out of a
// check, so that events needn't wait in the spool for it.
func TestAsksAgainSoon(t *testing.T) {
	t.Parallel()
	poll.Until(t, "the stream is ready before the time-out", func() bool { // once is enough: a busy machine may be slow
		s := natsdtest.Start(t, `mappings { "$JS.API.STREAM.INFO.WEBHOOKS": silent }`)
		silent := natsdtest.Connect(t, s.URL()).Conn()
		asked, err := silent.SubscribeSync("silent")
		expect.NoError(t, err)
		expect.NoError(t, silent.Flush())
		f, start := open(t, s.URL()), time.Now()
		expect.NoError(t, expect.Err(asked.NextMsg(poll.Bound)))
		s.Reload(`mappings {}`)
		f.connected()
		return time.Since(start) < checkTimeout
	})
}
