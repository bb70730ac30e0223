package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// account has an operator who may do everything, and a bridge that may publish on these subjects.
func account(publish ...string) string {
	return fmt.Sprintf(`accounts { A { jetstream: enabled, users: [
		{ user: operator, password: operator }
		{ user: bridge, password: bridge, permissions { publish: { allow: ["%s"] }, subscribe: { allow: ["_INBOX.>"] } } }
	] } }`, strings.Join(append(publish, "$JS.API.STREAM.INFO.WEBHOOKS"), `", "`))
}

// on is a message on a subject.
func on(subject, id string) publish.Message {
	m := message(id)
	m.Subject = subject
	return m
}

// A message whose subject is forbidden is kept and set aside. It delays no other, and is delivered once the
// right is granted.
func TestForbiddenSubject(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account("webhooks.flock.>"))
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
	makeStream(t, js, nil)
	f := start(t, s.URL(), asBridge, hasty).ready()
	want := []string{"allowed"}
	for i := range firstBatch + 1 {
		id := fmt.Sprint("forbidden ", i)
		f.takes(publish.Spooled, on("webhooks.frigade.a.b", id))
		want = append(want, id)
	}
	poll.Until(t, "all are set aside", func() bool { return f.Spool.Stats().SetAside == firstBatch+1 && f.waiting() == 0 })
	poll.Until(t, "one that is allowed goes directly", func() bool { // a machine that stalls makes it spooled first, and then a duplicate
		status, err := f.patiently(message("allowed"))
		return err == nil && (status == publish.Stored || status == publish.Duplicate)
	})
	stored(t, js, "allowed")
	poll.Until(t, "it is logged", func() bool { return f.logged(sayAside) > 0 })
	if n := f.logged(sayAside); n != 1 { // the others come within the minute
		t.Errorf("logged %d times", n)
	}
	remedy := fmt.Sprint(f.logs.FilterMessage(sayAside).All()[0].ContextMap()["remedy"])
	if !strings.Contains(remedy, "allow our account to publish") {
		t.Errorf("remedy: %q", remedy)
	}
	const count = "messages are set aside in the spool: `bridge spool list` shows them"
	poll.Until(t, "all are counted in the log", func() bool {
		counts := f.logs.FilterMessage(count).FilterField(zap.Int64("messages", firstBatch+1))
		return counts.Len() == 1
	})
	s.Reload(account("webhooks.>"))
	poll.Until(t, "delivered", func() bool { return f.Spool.Stats().SetAside == 0 })
	got := natsdtest.IDs(t, js) // in any order: the subject may be tried again from the second batch on
	slices.Sort(want)
	slices.Sort(got)
	expect.Equal(t, want, got, "stored")
	const delivered = "messages that were set aside are delivered"
	poll.Until(t, "all are delivered in the log", func() bool {
		return f.logs.FilterMessage(delivered).FilterField(zap.Int64("left", 0)).Len() == 1
	})
	if n := f.logged(delivered); n != 1 {
		t.Errorf("logged %d times that they are delivered", n)
	}
	if n := f.logs.FilterMessage(count).FilterField(zap.Int64("messages", 0)).Len(); n != 0 {
		t.Error("a warning counts none")
	}
}

// NATS 2.10 answers that it has a message already, with the sequence number 0, if it has failed to store a copy.
// The message isn't durable then. It stays, and delays no other.
func TestFalseDuplicate(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.Subjects = []string{"webhooks.flock.>"} })
	stuck := on("webhooks.frigade.a.b", "stuck")
	failing, err := js.Conn().Subscribe(stuck.Subject, func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"stream":"WEBHOOKS", "seq":0,"duplicate": true}`))
	})
	expect.NoError(t, err)
	f := start(t, s.URL(), unmanaged, func(c *settings) { c.publish.Stream.Endpoints = []string{"flock"} }).ready()
	f.takes(publish.Spooled, stuck)
	f.publishes(publish.Spooled, "other")
	poll.Until(t, "it is set aside", func() bool { return f.Spool.Stats().SetAside == 1 && f.waiting() == 0 })
	stored(t, js, "other")
	aside := f.logs.FilterMessage(sayAside).All()
	if len(aside) != 1 || !strings.Contains(fmt.Sprint(aside[0].ContextMap()["error"]), "make its leader step down") {
		t.Errorf("logged %v, want the remedy in it", aside)
	}
	expect.NoError(t, failing.Unsubscribe())
	expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), jetstream.StreamConfig{
		Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Discard: jetstream.DiscardNew, Duplicates: 25 * time.Hour,
	})))
	poll.Until(t, "it is delivered", func() bool { return f.Spool.Stats().SetAside == 0 })
	stored(t, js, "other", "stuck")
}

// It also answers so once a full stream has refused a message. Another one shows that the stream is full.
func TestFalseDuplicateOfFullStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.Subjects, c.MaxMsgs = []string{"webhooks.flock.>"}, 1 })
	expect.NoError(t, expect.Err(js.Publish(t.Context(), "webhooks.flock.a", nil)))
	refused := on("webhooks.frigade.a.b", "refused")
	expect.NoError(t, expect.Err(js.Conn().Subscribe(refused.Subject, func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"stream":"WEBHOOKS", "seq":0,"duplicate": true}`))
	})))
	f := start(t, s.URL(), unmanaged, func(c *settings) { c.publish.Stream.Endpoints = []string{"flock"} }).ready()
	f.takes(publish.Spooled, refused)
	poll.Until(t, "the first cause", func() bool { return f.Blocked(publish.Event) == publish.Rejected })
	f.publishes(publish.Spooled, numbered(0, 5)...)
	poll.Until(t, "the true cause", func() bool { return f.Blocked(publish.Event) == publish.StreamFull })
	expect.Equal(t, 1, f.seen.of("spool stream_full"), "others that are tried, of which NATS 2.10 would then take none")
	before := f.seen.of("spool rejected")
	poll.Until(t, "it is refused again", func() bool { return f.seen.of("spool rejected") >= before+2 })
	expect.Equal(t, publish.StreamFull, f.Blocked(publish.Event), "cause")
}

// A message turns out to be too large only when it is delivered, and blocks no other.
func TestTooLargeInSpool(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "max_payload: 1000")
	f := start(t, s.URL())
	large := sized("large", 2000)
	f.publishes(publish.Spooled, numbered(0, 10)...)
	f.takes(publish.Spooled, large)
	f.publishes(publish.Spooled, numbered(10, 20)...)
	s.Start()
	f.delivered()
	stored(t, natsdtest.Connect(t, s.URL()), numbered(0, 20)...)
	aside, err := f.Spool.SetAside(0, 10)
	if err != nil || len(aside) != 1 || aside[0].ID != "large" || !strings.Contains(aside[0].Reason, "at most 1000 are allowed") {
		t.Fatalf("aside: %+v, %v", aside, err)
	}
	if _, err := f.ready().Publish(t.Context(), large); err == nil {
		t.Error("it is taken now that the limit is known")
	}
	s.Stop()
	s.Configure("")
	s.Start()
	poll.Until(t, "delivered", func() bool { return f.Spool.Stats().SetAside == 0 })
	stored(t, natsdtest.Connect(t, s.URL()), append(numbered(0, 20), "large")...)
}

// While the disk fails, so that a refused record can't be set aside, only those before it leave the spool.
// Those behind it that NATS has taken aren't sent again.
func TestRefusedWhileDiskFails(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "max_payload: 1000")
	dir := filepath.Join(t.TempDir(), "spool")
	f := start(t, s.URL(), inDir(dir))
	f.publishes(publish.Spooled, "0", "1") // the first is tried alone
	large := sized("large", 2000)
	f.takes(publish.Spooled, large)
	f.publishes(publish.Spooled, "2", "3")
	if err := errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600)); err != nil { // open files are read and written as before
		t.Fatal(err)
	}
	s.Start()
	poll.Until(t, "the refused one can't be set aside", func() bool { return f.Spool.Stats().Err != nil && f.seen.of("spool too_large") > 1 })
	stats := f.Spool.Stats()
	if f.waiting() != 3 || stats.SetAside != 0 || f.logged(sayAside) != 0 {
		t.Errorf("%d wait, %d are set aside, logged %d times that one is", f.waiting(), stats.SetAside, f.logged(sayAside))
	}
	expect.NoError(t, errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)))
	f.delivered()
	stored(t, natsdtest.Connect(t, s.URL()), numbered(0, 4)...)
	poll.Until(t, "it is logged", func() bool { return f.logged(sayAside) == 1 })
	aside, err := f.Spool.SetAside(0, 10)
	if err != nil || len(aside) != 1 || aside[0].ID != "large" {
		t.Errorf("aside: %+v, %v", aside, err)
	}
	if n, again := f.seen.of("spool stored"), f.seen.of("spool duplicate"); n != 4 || again != 0 {
		t.Errorf("%d were stored, %d sent again", n, again)
	}
}

// A limit for each subject concerns that subject, not the stream.
func TestSubjectFull(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 1, true })
	f := start(t, s.URL(), unmanaged).ready()
	for i, subject := range []string{"webhooks.flock.a", "webhooks.flock.a", "webhooks.flock.b"} {
		expect.NoError(t, expect.Err(f.Publish(t.Context(), on(subject, fmt.Sprint(i)))))
	}
	f.delivered()
	stored(t, js, "0", "2")
	expect.Equal(t, 1, f.Spool.Stats().SetAside, "records set aside")
}

// Events that were spooled with another SUBJECT_PREFIX don't block others, however many they are. They
// are delivered once the stream takes their subject.
func TestOtherPrefix(t *testing.T) {
	t.Parallel()
	for name, isTaken := range map[string]bool{"no_stream": false, "wrong_stream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, "")
			js := natsdtest.Connect(t, s.URL())
			if isTaken {
				natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "EARLIER", Subjects: []string{"earlier.>"}})
			}
			dir := t.TempDir()
			f := start(t, "nats://127.0.0.1:1", inDir(dir))
			for i := range 2 * firstBatch {
				m := on("earlier.flock.a", fmt.Sprint(i))
				expect.NoError(t, expect.Err(f.Publish(t.Context(), m)))
			}
			f.publishes(publish.Spooled, "new")
			f.close()
			f = start(t, s.URL(), inDir(dir))
			f.delivered()
			stored(t, js, "new")
			aside, err := f.Spool.SetAside(0, maxBatch)
			expect.NoError(t, err)
			if len(aside) != 2*firstBatch || !strings.Contains(aside[0].Reason, "the stream does not take this subject") {
				t.Fatalf("%d are set aside: %+v", len(aside), aside)
			}
			if isTaken {
				expect.NoError(t, js.DeleteStream(t.Context(), "EARLIER"))
			}
			expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>", "earlier.>"}})))
			poll.Until(t, "they are delivered", func() bool { return f.Spool.Stats().SetAside == 0 })
			got, want := natsdtest.IDs(t, js), append(numbered(0, 2*firstBatch), "new")
			slices.Sort(got)
			slices.Sort(want)
			expect.Equal(t, want, got, "stored")
		})
	}
}

// If the spool fails and NATS is there, events go directly, though others wait. Only such events can close
// a half-open breaker then; while the spool is full, the forwarder can.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	f := start(t, s.URL())
	f.publishes(publish.Spooled, "waits")
	if err := f.Spool.Close(t.Context()); err != nil { // as good as a disk that is gone
		t.Fatal(err)
	}
	if status, err := f.Publish(t.Context(), message("nowhere")); !errors.Is(err, publish.ErrUnavailable) {
		t.Errorf("without NATS and disk: got %q, %v, want ErrUnavailable", status, err)
	}
	s.Start()
	poll.Until(t, "connected", func() bool { return f.Publisher.Ready(publish.Event) == nil })
	for range breaksAfter {
		f.breakers[publish.Event].report(false)
	}
	poll.Until(t, "half-open", func() bool { return f.Breaker() == "half-open" })
	expect.NoError(t, f.NotDirect(publish.Event, spool.ErrSlow))
	for _, full := range []error{spool.ErrFull, spool.ErrNoDisk} {
		if f.NotDirect(publish.Event, full) == nil {
			t.Errorf("ready for a delivery although the forwarder publishes: %v", full)
		}
	}
	f.publishes(publish.Stored, "overtakes")
	expect.Equal(t, "closed", f.Breaker(), "the breaker")
	stored(t, natsdtest.Connect(t, s.URL()), "overtakes")
}

// If neither NATS nor the spool takes a message, the error has both reasons.
func TestNeither(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	f := start(t, s.URL(), unmanaged, func(c *settings) { c.spool.MaxBytes = 400 }).ready()
	f.publishes(publish.Stored, "a")
	f.publishes(publish.Spooled, "b")
	refused := sized("c", 400)
	if status, err := f.Publish(t.Context(), refused); err == nil {
		t.Errorf("kept: %q", status)
	} else if text := err.Error(); !strings.Contains(text, "maximum messages exceeded") || !strings.Contains(text, "spool is full") {
		t.Errorf("the error doesn't say both: %v", err)
	}
	stored(t, js, "a")
}

// While NATS is away and the spool is full, what would be answered 401 is refused as unavailable, so
// that its sender tries again.
func TestRefusedWithoutRoom(t *testing.T) {
	t.Parallel()
	f := start(t, "nats://127.0.0.1:1", func(c *settings) { c.spool.MaxBytes = 400 })
	m := sized("a", 400)
	m.Kind = publish.Refused
	_, err := f.Publish(t.Context(), m)
	expect.ErrorIs(t, publish.ErrUnavailable, err, "the answer")
}

// After a lost acknowledgement the spool has an event that is stored already: the stream recognises
// it.
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	f := start(t, s.URL(), hasty).ready()
	s.Pause() // the kernel takes the bytes, the server will read them later
	f.publishes(publish.Spooled, "a")
	records, err := f.Spool.Next(publish.Event, 0, 1, maxBytes)
	if err != nil || len(records) != 1 || records[0].Attempted.IsZero() || records[0].Attempted.After(records[0].Arrived) {
		t.Errorf("the spool has %+v, %v, want one record with the time of its attempt", records, err)
	}
	s.Resume()
	f.delivered()
	stored(t, natsdtest.Connect(t, s.URL()), "a")
	if f.seen.of("direct timeout") != 1 {
		t.Errorf("counted %v", f.seen.n)
	}
}

// Close leaves unacknowledged records in the spool, and waits for nothing.
func TestCloseWhileWaiting(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	dir := t.TempDir()
	f := start(t, s.URL(), inDir(dir)).ready()
	s.Pause()
	for i := range 10 {
		expect.NoError(t, f.Spool.Append(context.Background(), arrived(message(fmt.Sprint(i)), 0), time.Time{}))
	}
	f.close()
	s.Resume()
	f = start(t, s.URL(), inDir(dir))
	f.delivered()
	stored(t, natsdtest.Connect(t, s.URL()), numbered(0, 10)...)
}

// Messages of several kinds that were set aside are each delivered once.
func TestSetAsideOfTwoKinds(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	f := start(t, s.URL())
	for _, m := range []publish.Message{message("1"), kept("2"), message("3")} {
		expect.NoError(t, f.Spool.Append(t.Context(), arrived(m, 0), time.Time{}))
		records, err := f.Spool.Next(m.Kind, 0, 1, maxBytes)
		expect.NoError(t, err)
		records[0].Reason = "refused"
		expect.NoError(t, f.Spool.Settle(m.Kind, records))
	}
	s.Start()
	poll.Until(t, "delivered", func() bool { return f.Spool.Stats().SetAside == 0 })
	stored(t, natsdtest.Connect(t, s.URL()), "1", "3")
	n, again := f.seen.of("spool stored")+f.seen.of("spool "+Found), f.seen.of("spool duplicate") // found: by a late acknowledgement
	if n != 3 || again != 0 {
		t.Errorf("%d were stored, %d sent again", n, again)
	}
}

// Messages that were set aside may fail again. That says nothing new about NATS, so others are published
// directly meanwhile.
func TestSetAsideOpensNoBreaker(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, `mappings = { "webhooks.other.a": "other" }`)
	f := start(t, s.URL(), unmanaged)
	for i := range breaksAfter {
		m := on("webhooks.other.a", fmt.Sprint("other ", i))
		expect.NoError(t, f.Spool.Append(t.Context(), arrived(m, 0), time.Time{}))
	}
	records, err := f.Spool.Next(publish.Event, 0, maxBatch, maxBytes)
	expect.NoError(t, err)
	for i := range records {
		records[i].Reason = "refused"
	}
	expect.NoError(t, f.Spool.Settle(publish.Event, records))
	s.Start()
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, nil)
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	poll.Until(t, "they are tried again", func() bool { return f.seen.of("spool wrong_stream") >= 2*breaksAfter })
	expect.Equal(t, "closed", f.Breaker(), "the breaker")
	f.publishes(publish.Stored, "direct")
}
