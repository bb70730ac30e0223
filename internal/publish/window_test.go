package publish

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// The effective window never grows faster than time, also where the stream's is raised, the bridge is
// started again, or the file is lost.
func TestEffectiveWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		made := time.Now()
		file := filepath.Join(t.TempDir(), "windows.json")
		w := openWindows(file, false, true, zap.NewNop())
		restart := func() {
			w.stop()
			<-w.stopped
			w = openWindows(file, false, true, zap.NewNop())
		}
		defer func() { w.stop(); <-w.stopped }()
		see := func(configured time.Duration, messages uint64) {
			info := &jetstream.StreamInfo{Created: made, Config: jetstream.StreamConfig{Name: "S", Duplicates: configured}}
			info.State.LastSeq = messages
			w.observe(info)
		}
		want := func(what string, want time.Duration) {
			t.Helper()
			if got := w.of("S"); got != want {
				t.Fatalf("%s: %s, want %s", what, got, want)
			}
		}
		want("never seen", 0)
		see(time.Hour, 10)
		want("a stream that is new to a new spool is taken at its word", time.Hour)
		time.Sleep(time.Minute)
		see(day, 10)
		want("raised", time.Hour)
		time.Sleep(time.Hour)
		want("an hour later", 2*time.Hour)
		see(day, 10)
		restart()
		want("started again, and not seen yet", 0)
		time.Sleep(time.Hour)
		see(day, 10)
		want("started again an hour ago", 3*time.Hour)
		time.Sleep(30 * day)
		see(day, 10)
		want("long after", day)
		restart()
		see(day, 10)
		want("long after, started again", day)
		see(time.Minute, 10)
		want("lowered", time.Minute)
		restart()
		see(day, 10)
		want("raised again while the bridge was away", time.Minute)
		made = made.Add(time.Second)
		see(day, 10)
		want("made anew, and used by others", 0)
		time.Sleep(time.Hour)
		want("an hour after it was made anew", time.Hour)
		made = made.Add(time.Second)
		see(day, 0)
		want("made anew, and empty", day)
		w.stop()
		<-w.stopped
		if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		w = openWindows(file, false, true, zap.NewNop())
		see(day, 10)
		want("the file is damaged", 0)
	})
}

// A window that an operator or the bridge raises doesn't bring back the ids that the stream has
// forgotten, also not for the next process.
func TestRaisedWindow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		raises func(t *testing.T, js jetstream.JetStream, c *Config)
	}{
		{"by an operator", func(t *testing.T, js jetstream.JetStream, c *Config) {
			_, err := js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"by the bridge", func(_ *testing.T, _ jetstream.JetStream, c *Config) {
			c.Stream.Duplicates, c.Stream.Explicit.Duplicates = time.Hour, true
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, "")
			js := natsdtest.Connect(t, s.URL())
			const short = 200 * time.Millisecond
			config := jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: short}
			if _, err := js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "windows.json")
			remembering := func(c *Config) { c.Windows = file }
			before := open(t, s.URL(), remembering).connected()
			if got := before.Window(Event); got != short {
				t.Errorf("before: %s", got)
			}
			before.stores("forgotten")
			poll.Until(t, "forgotten", func() bool { status, _ := before.publish("forgotten"); return status == Stored })
			if err := before.close(t.Context()); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			for range 2 { // it is started, and started again
				f := open(t, s.URL(), remembering, func(c *Config) { test.raises(t, js, c) }).connected()
				if got, most := f.Window(Event), short+time.Since(start); got > most || got < short {
					t.Errorf("raised: %s, at most %s has passed", got, most)
				}
				if got := f.ConfiguredWindow(Event); got != time.Hour {
					t.Errorf("configured: %s", got)
				}
				if err := f.close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A stream that the bridge has made forgets nothing within its window.
func TestWindowOfMadeStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	file := filepath.Join(t.TempDir(), "windows.json")
	for range 3 {
		f := open(t, s.URL(), func(c *Config) { c.Windows = file }).connected()
		if got := f.Window(Event); got != 25*time.Hour {
			t.Errorf("window: %s", got)
		}
		if _, err := f.publish("1"); err != nil {
			t.Error(err)
		}
		if err := f.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Stop() // after a restart the stream is the same one
		s.Start()
	}
}
