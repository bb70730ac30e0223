package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMain(m *testing.M) {
	natsdtest.Main()
	natsdtest.VerifyTestMain(m)
}

// world is a server with a stream S on s.>, and the messages that a reader has read of it.
type world struct {
	t      *testing.T
	server *natsdtest.Server
	nc     *nats.Conn
	js     jetstream.JetStream

	mu   sync.Mutex
	read []string
	told []error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := natsdtest.Start(t, "jetstream: enabled")
	js := natsdtest.Connect(t, server.URL())
	w := &world{t: t, server: server, nc: js.Conn(), js: js}
	w.make()
	return w
}

func (w *world) make() {
	w.t.Helper()
	natsdtest.CreateStream(w.t, w.js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
}

func (w *world) publish(subject string, payloads ...string) {
	w.t.Helper()
	for _, payload := range payloads {
		id := nuid.Next() // it may be stored, though its acknowledgement is lost
		poll.Until(w.t, "publish", func() bool {
			_, err := w.js.Publish(w.t.Context(), subject, []byte(payload), jetstream.WithMsgID(id))
			return err == nil
		})
	}
}

// follow reads a section until the test ends, and returns once it has begun.
func (w *world) follow(s Section) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.reader(s).Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		expect.ErrorIs(w.t, context.Canceled, <-ended, "how it ended")
	})
	poll.Until(w.t, "begin", func() bool { return slices.Contains(w.words(), nil) })
}

func (w *world) reader(s Section) *Reader {
	s.Stream = "S"
	return &Reader{
		JetStream: w.js, Section: s, Name: "test-",
		Handle: func(m Message) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.read = append(w.read, string(m.Data()))
			return nil
		},
		Report: func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, err)
		},
	}
}

func (w *world) words() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	got := func() []string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(w.read)
	}
	for deadline := time.Now().Add(poll.Bound); len(got()) < len(want) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	expect.Equal(w.t, want, got(), "read")
}

func TestWhereItBegins(t *testing.T) {
	for _, test := range []struct {
		name    string
		section Section
		want    []string
	}{
		{"now", Section{}, []string{"4"}},
		{"a time", Section{Since: time.Unix(1, 0)}, []string{"1", "2", "3", "4"}},
		{"a time to come", Section{Since: time.Now().Add(time.Hour)}, nil},
		{"the last two", Section{Last: 2}, []string{"2", "3", "4"}},
		{"more than there are", Section{Last: 100}, []string{"1", "2", "3", "4"}},
		{"one subject", Section{Last: 100, Subjects: []string{"s.b"}}, []string{"2"}},
		{"two subjects", Section{Last: 100, Subjects: []string{"s.b", "s.c"}}, []string{"2", "3"}},
		{"without payloads", Section{Last: 100, HeadersOnly: true}, []string{"", "", "", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.publish("s.a", "1")
			w.publish("s.b", "2")
			w.publish("s.c", "3")
			w.follow(test.section)
			w.publish("s.a", "4")
			w.expect(test.want...)
		})
	}
}

// A section that ends has all messages from before its beginning and none from after. An empty one
// ends too.
func TestStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expect.NoError(t, w.reader(Section{Since: time.Unix(1, 0), Stop: true}).Run(t.Context()))
	w.expect()
	w.publish("s.a", "1", "2")
	w.publish("s.b", "3")
	r := w.reader(Section{Since: time.Unix(1, 0), Stop: true})
	handle := r.Handle
	r.Handle = func(m Message) error {
		w.publish("s.a", "later")
		return handle(m)
	}
	expect.NoError(t, r.Run(t.Context()))
	w.expect("1", "2", "3")
	w.read = nil
	expect.NoError(t, w.reader(Section{Since: time.Unix(1, 0), Subjects: []string{"s.b"}, Stop: true}).Run(t.Context()))
	w.expect("3")
}

func TestHandleFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("s.a", "1", "2")
	r, full := w.reader(Section{Since: time.Unix(1, 0)}), errors.New("full")
	r.Handle = func(Message) error { return full }
	start := time.Now()
	expect.ErrorIs(t, full, r.Run(t.Context()), "how it ended")
	w.noConsumers(start)
}

// noConsumers waits until the stream has no consumer. The server removes one that is left, too, but
// later.
func (w *world) noConsumers(start time.Time) {
	w.t.Helper()
	poll.Until(w.t, "no consumer is left", func() bool {
		stream, err := w.js.Stream(w.t.Context(), "S")
		return err == nil && stream.CachedInfo().State.Consumers == 0
	})
	expect.Within(w.t, inactive/2, start, "removing the consumers")
}

// Over a restart of the server no message is lost and none comes twice.
func TestReconnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.follow(Section{})
	var want []string
	for round := range 3 {
		for i := range 20 {
			want = append(want, fmt.Sprintf("%d.%d", round, i))
		}
		w.publish("s.a", want[20*round:]...)
		w.server.Stop()
		w.server.Start()
	}
	w.publish("s.a", "end")
	w.expect(append(want, "end")...)
}

// A stream that is deleted and created again is read from its first message on, whether it has more
// messages than the old one or fewer.
func TestRecreated(t *testing.T) {
	for _, test := range []struct {
		name  string
		fresh []string
	}{
		{"fewer", []string{"a"}},
		{"as many", []string{"a", "b", "c"}},
		{"more", []string{"a", "b", "c", "d", "e"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.publish("s.a", "1", "2")
			w.follow(Section{Last: 2})
			w.publish("s.a", "3")
			w.expect("1", "2", "3")
			expect.NoError(t, w.js.DeleteStream(t.Context(), "S"))
			w.make()
			w.publish("s.a", test.fresh...)
			w.expect(append([]string{"1", "2", "3"}, test.fresh...)...)
			if !slices.ContainsFunc(w.words(), func(err error) bool { return errors.Is(err, ErrRecreated) }) {
				t.Errorf("it told %v", w.words())
			}
		})
	}
}

// In a cluster a stream in memory keeps its creation time over a restart of its server, and begins
// at 1 again.
func TestBeginsAgain(t *testing.T) {
	made := time.Unix(1, 0)
	for _, test := range []struct {
		name       string
		made       time.Time
		last, next uint64 // of the stream now, and where to read on
		anew       bool
	}{
		{"as it was", made, 3, 4, false},
		{"more", made, 9, 4, false},
		{"less than was read", made, 2, 1, true},
		{"nothing", made, 0, 1, true},
		{"another", made.Add(1), 9, 1, true},
	} {
		r := Reader{created: made, next: 4}
		info := &jetstream.StreamInfo{Created: test.made, State: jetstream.StreamState{LastSeq: test.last}}
		if anew := r.begin(info); anew != test.anew || r.next != test.next || !r.created.Equal(test.made) {
			t.Errorf("%s: %t, at %d", test.name, anew, r.next)
		}
	}
}

// Of large messages, a reader asks for no more at one time than a server holds for a client that
// reads slowly: 64 MiB. The server would close the connection.
func TestLargeMessages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 100 {
		large := strings.Repeat(fmt.Sprint(i%10), 1000<<10)
		want = append(want, large[:1])
		w.publish("s.large", large)
	}
	r := w.reader(Section{Since: Beginning, Stop: true})
	r.Handle = func(m Message) error {
		time.Sleep(10 * time.Millisecond)
		w.read = append(w.read, string(m.Data()[:1]))
		return nil
	}
	expect.NoError(t, r.Run(t.Context()))
	expect.Equal(t, want, w.read, "read")
	expect.Equal(t, 0, int(w.nc.Stats().Reconnects), "how often the connection broke")
}
