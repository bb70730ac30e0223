package publish

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// The effective window never grows faster than time, even if the stream's window is raised, the
// bridge is restarted, or the file is lost.
func TestEffectiveWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		made := time.Now()
		var w window
		see := func(configured time.Duration, messages uint64) {
			info := &jetstream.StreamInfo{Created: made, Config: jetstream.StreamConfig{Name: "S", Duplicates: configured}}
			info.State.LastSeq = messages
			w = w.next(info)
		}
		want := func(what string, want time.Duration) {
			t.Helper()
			if got := w.now(); got != want {
				t.Fatalf("%s: %s, want %s", what, got, want)
			}
		}
		want("never seen", 0)
		see(time.Hour, 10)
		want("seen for the first time", time.Hour)
		time.Sleep(time.Minute)
		see(day, 10)
		want("raised", time.Hour)
		time.Sleep(time.Hour)
		want("an hour later", 2*time.Hour)
		see(day, 10)
		want("seen again", 2*time.Hour)
		time.Sleep(30 * day)
		see(day, 10)
		want("long after", day)
		see(time.Minute, 10)
		want("lowered", time.Minute)
		see(day, 10)
		want("raised again", time.Minute)
		made = made.Add(time.Second)
		see(day, 10)
		want("made anew, and used by others", 0)
		time.Sleep(time.Hour)
		want("an hour after it was made anew", time.Hour)
		made = made.Add(time.Second)
		see(day, 0)
		want("made anew, and empty", day)
	})
}

// Raising the window doesn't bring back ids that the stream has forgotten, even for the next
// process.
func TestRaisedWindow(t *testing.T) {
	t.Parallel()
	const short = 200 * time.Millisecond
	config := jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: short}
	for _, raisedBy := range []string{"operator", "bridge"} {
		t.Run(raisedBy, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, "")
			js := natsdtest.Connect(t, s.URL())
			natsdtest.CreateStream(t, js, config)
			start := time.Now()
			f := open(t, s.URL(), func(c *Config) {
				c.Stream.Duplicates, c.Stream.Explicit.Duplicates = time.Hour, raisedBy == "bridge"
			}).connected()
			if raisedBy == "operator" {
				expect.Equal(t, short, f.Window(Event), "the window before")
				raised := config
				raised.Duplicates = time.Hour
				expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), raised)))
				f.monitors[Event].check()
			}
			poll.Until(t, "raised", func() bool {
				f.monitors[Event].check() // a busy machine may not do it in the time of the first one
				return f.monitors[Event].lastWindow().configured == time.Hour
			})
			if got, most := f.Window(Event), short+time.Since(start); got > most || got < short {
				t.Errorf("raised: %s, at most %s has passed", got, most)
			}
			poll.Until(t, "logged", func() bool { return f.logged(sayForgot) == 1 })
		})
	}
}

// A restart doesn't make a raised window effective, nor does a file that can't be read.
func TestWindowOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	const short = 200 * time.Millisecond
	config := jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: short}
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	natsdtest.CreateStream(t, js, config)
	dir, start := t.TempDir(), time.Now()
	window := func() time.Duration {
		t.Helper()
		f := open(t, s.URL(), func(c *Config) { c.WindowDir = dir }).connected()
		defer func() {
			if err := f.close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		return f.Window(Event)
	}
	expect.Equal(t, short, window(), "the window before")
	expect.NoError(t, expect.Err(js.Publish(t.Context(), "webhooks.flock.x", nil)))
	config.Duplicates = time.Hour
	expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), config)))
	for range 2 {
		if got, most := window(), short+time.Since(start); got > most || got < short {
			t.Errorf("raised: %s, at most %s has passed", got, most)
		}
	}
	file := filepath.Join(dir, "window-WEBHOOKS.json")
	expect.NoError(t, os.WriteFile(file, []byte(`{"created":`), 0o600))
	began := time.Now()
	if got, most := window(), time.Since(began); got > most {
		t.Errorf("unreadable: %s, at most %s has passed", got, most)
	}
	expect.NoError(t, os.Remove(file))
	expect.Equal(t, time.Hour, window(), "the window of a stream that was never seen")
}

// A stream that was made again between two processes doesn't know the ids of its messages, and the log
// says so.
func TestStreamIsMadeAgain(t *testing.T) {
	t.Parallel()
	config := jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: time.Hour}
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	dir := t.TempDir()
	for logged := range 2 {
		natsdtest.CreateStream(t, js, config)
		expect.NoError(t, expect.Err(js.Publish(t.Context(), "webhooks.flock.x", nil)))
		f := open(t, s.URL(), func(c *Config) { c.WindowDir = dir }).connected()
		expect.Equal(t, logged, f.logged(sayForgot), "how often the log says that ids are missing")
		expect.NoError(t, f.close(t.Context()))
		expect.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
	}
}

// A window that could not be written is written at the next check, though it is the same.
func TestWindowIsWrittenAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "missing")
	m := newMonitor(Config{WindowDir: dir, Log: zap.NewNop()}, Stream{Name: "S"})
	w := window{Created: time.Unix(1, 0), configured: time.Hour, Effective: time.Hour, at: time.Now()}
	save := func() {
		m.saving <- struct{}{}
		m.save(w)
	}
	save()
	expect.NoError(t, os.Mkdir(dir, 0o700))
	save()
	got, err := readWindow(m.file)
	if err != nil || got.Effective != time.Hour || !got.Created.Equal(w.Created) {
		t.Errorf("saved %+v, %v", got, err)
	}
}
