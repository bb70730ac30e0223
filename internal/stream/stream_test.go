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

// fixture is a NATS server with a stream S on s.>, and holds what a reader has read and reported.
type fixture struct {
	t      *testing.T
	server *natsdtest.Server
	nc     *nats.Conn
	js     jetstream.JetStream

	mu      sync.Mutex
	read    []string
	reports []error
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	server := natsdtest.Start(t, "jetstream: enabled")
	js := natsdtest.Connect(t, server.URL())
	f := &fixture{t: t, server: server, nc: js.Conn(), js: js}
	f.createStream()
	return f
}

func (f *fixture) createStream() {
	f.t.Helper()
	natsdtest.CreateStream(f.t, f.js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
}

func (f *fixture) publish(subject string, payloads ...string) {
	f.t.Helper()
	for _, payload := range payloads {
		id := nuid.Next() // it may be stored although its acknowledgement is lost
		poll.Until(f.t, "publish", func() bool {
			_, err := f.js.Publish(f.t.Context(), subject, []byte(payload), jetstream.WithMsgID(id))
			return err == nil
		})
	}
}

// follow reads a section until the test ends. It returns when reading has begun.
func (f *fixture) follow(s Section) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.reader(s).Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		expect.ErrorIs(f.t, context.Canceled, <-ended, "how it ended")
	})
	poll.Until(f.t, "begin", func() bool { return slices.Contains(f.reported(), nil) })
}

func (f *fixture) reader(s Section) *Reader {
	s.Stream = "S"
	return &Reader{
		JetStream: f.js, Section: s, Name: "test-",
		Handle: func(m Message) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.read = append(f.read, string(m.Data()))
			return nil
		},
		Report: func(err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.reports = append(f.reports, err)
		},
	}
}

func (f *fixture) reported() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.reports)
}

func (f *fixture) expect(want ...string) {
	f.t.Helper()
	got := func() []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Clone(f.read)
	}
	for deadline := time.Now().Add(poll.Bound); len(got()) < len(want) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	expect.Equal(f.t, want, got(), "read")
}

func TestWhereItBegins(t *testing.T) {
	for _, test := range []struct {
		name    string
		section Section
		want    []string
	}{
		{"now", Section{}, []string{"4"}},
		{"a time", Section{Since: time.Unix(1, 0)}, []string{"1", "2", "3", "4"}},
		{"a time in the future", Section{Since: time.Now().Add(time.Hour)}, nil},
		{"the last two", Section{Last: 2}, []string{"2", "3", "4"}},
		{"more than there are", Section{Last: 100}, []string{"1", "2", "3", "4"}},
		{"one subject", Section{Last: 100, Subjects: []string{"s.b"}}, []string{"2"}},
		{"two subjects", Section{Last: 100, Subjects: []string{"s.b", "s.c"}}, []string{"2", "3"}},
		{"without payloads", Section{Last: 100, HeadersOnly: true}, []string{"", "", "", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.publish("s.a", "1")
			f.publish("s.b", "2")
			f.publish("s.c", "3")
			f.follow(test.section)
			f.publish("s.a", "4")
			f.expect(test.want...)
		})
	}
}

// A section with Stop has all messages that were stored before reading began, and no later one. An empty one
// ends, too.
func TestSectionEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	expect.NoError(t, f.reader(Section{Since: time.Unix(1, 0), Stop: true}).Run(t.Context()))
	f.expect()
	f.publish("s.a", "1", "2")
	f.publish("s.b", "3")
	r := f.reader(Section{Since: time.Unix(1, 0), Stop: true})
	handle := r.Handle
	r.Handle = func(m Message) error {
		f.publish("s.a", "later")
		return handle(m)
	}
	expect.NoError(t, r.Run(t.Context()))
	f.expect("1", "2", "3")
	f.read = nil
	expect.NoError(t, f.reader(Section{Since: time.Unix(1, 0), Subjects: []string{"s.b"}, Stop: true}).Run(t.Context()))
	f.expect("3")
}

func TestHandleFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.publish("s.a", "1", "2")
	r, full := f.reader(Section{Since: time.Unix(1, 0)}), errors.New("full")
	r.Handle = func(Message) error { return full }
	start := time.Now()
	expect.ErrorIs(t, full, r.Run(t.Context()), "how it ended")
	f.awaitNoConsumers(start)
}

// awaitNoConsumers waits until the stream has no consumer. The server would remove one that is left later.
func (f *fixture) awaitNoConsumers(start time.Time) {
	f.t.Helper()
	poll.Until(f.t, "no consumer is left", func() bool {
		stream, err := f.js.Stream(f.t.Context(), "S")
		return err == nil && stream.CachedInfo().State.Consumers == 0
	})
	expect.Within(f.t, inactive/2, start, "removing the consumers")
}

// When the server restarts, no message is lost and none comes twice.
func TestReconnects(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.follow(Section{})
	var want []string
	for round := range 3 {
		for i := range 20 {
			want = append(want, fmt.Sprintf("%d.%d", round, i))
		}
		f.publish("s.a", want[20*round:]...)
		f.server.Stop()
		f.server.Start()
	}
	f.publish("s.a", "end")
	f.expect(append(want, "end")...)
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
			f := newFixture(t)
			f.publish("s.a", "1", "2")
			f.follow(Section{Last: 2})
			f.publish("s.a", "3")
			f.expect("1", "2", "3")
			expect.NoError(t, f.js.DeleteStream(t.Context(), "S"))
			f.createStream()
			f.publish("s.a", test.fresh...)
			f.expect(append([]string{"1", "2", "3"}, test.fresh...)...)
			if !slices.ContainsFunc(f.reported(), func(err error) bool { return errors.Is(err, ErrRecreated) }) {
				t.Errorf("reported: %v, want that it was created again", f.reported())
			}
		})
	}
}

// In a cluster, a stream in memory keeps its creation time when its server restarts, and its sequence
// numbers begin at 1 again.
func TestStreamBeginsAgain(t *testing.T) {
	made := time.Unix(1, 0)
	for _, test := range []struct {
		name       string
		made       time.Time
		last, next uint64 // the stream's last one now, and where to read on
		isNew      bool
	}{
		{"as it was", made, 3, 4, false},
		{"more", made, 9, 4, false},
		{"less than was read", made, 2, 1, true},
		{"nothing", made, 0, 1, true},
		{"another", made.Add(1), 9, 1, true},
	} {
		r := Reader{created: made, next: 4}
		info := &jetstream.StreamInfo{Created: test.made, State: jetstream.StreamState{LastSeq: test.last}}
		if isNew := r.begin(info); isNew != test.isNew || r.next != test.next || !r.created.Equal(test.made) {
			t.Errorf("%s: %t, at %d", test.name, isNew, r.next)
		}
	}
}

// nats.go drops messages that don't fit in its buffer, into which NATS' own messages go, too. The reader reads
// the dropped ones again at once, and reports no error.
func TestBufferOverflows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var want []string
	for i := range 2 * maxMessages {
		want = append(want, fmt.Sprint(i))
	}
	f.publish("s.a", want...)
	other := natsdtest.Connect(t, f.server.URL()).Conn()
	r := f.reader(Section{Since: Beginning, Stop: true})
	handle, arrived := r.Handle, func() uint64 { return f.nc.Stats().InMsgs }
	var requests *nats.Subscription
	var before uint64
	r.Handle = func(m Message) error {
		switch m.Sequence {
		case maxMessages/2 + 1: // the next call of nats.go makes the second request
			request, err := requests.NextMsg(poll.Bound)
			expect.NoError(t, err)
			before = arrived()
			for range 10 {
				expect.NoError(t, other.PublishMsg(&nats.Msg{Subject: request.Reply, Header: nats.Header{"Status": {"100"}}}))
			}
			poll.Until(t, "the heartbeats have arrived", func() bool { return arrived() >= before+10 })
		case maxMessages/2 + 2:
			poll.Until(t, "the second request's messages have arrived", func() bool { return arrived() >= before+10+maxMessages/2 })
		}
		return handle(m)
	}
	poll.Until(t, "it is read without a pause", func() bool { // on a busy machine not at the first time
		f.read, r.created = nil, time.Time{} // from the beginning
		var err error
		requests, err = other.SubscribeSync("$JS.API.CONSUMER.MSG.NEXT.S.>") // without earlier ones
		expect.NoError(t, errors.Join(err, other.Flush()))
		start := time.Now()
		expect.NoError(t, r.Run(t.Context()))
		expect.Equal(t, want, f.read, "read")
		return t.Failed() || time.Since(start) < pause
	})
	for _, err := range f.reported() {
		expect.NoError(t, err)
	}
}

// A reader asks for no more bytes at one time than a server holds for a slow client, 64 MiB. Otherwise the
// server would close the connection.
func TestLargeMessages(t *testing.T) {
	f := newFixture(t)
	var want []string
	for i := range 100 {
		large := strings.Repeat(fmt.Sprint(i%10), 1000<<10)
		want = append(want, large[:1])
		f.publish("s.large", large)
	}
	r := f.reader(Section{Since: Beginning, Stop: true})
	r.Handle = func(m Message) error {
		time.Sleep(10 * time.Millisecond)
		f.read = append(f.read, string(m.Data()[:1]))
		return nil
	}
	expect.NoError(t, r.Run(t.Context()))
	expect.Equal(t, want, f.read, "read")
	expect.Equal(t, 0, int(f.nc.Stats().Reconnects), "how often the connection broke")
}

// A stream may limit how long its consumers are kept while nobody reads them.
func TestConsumerLimits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	limits := jetstream.StreamConsumerLimits{InactiveThreshold: 10 * time.Second}
	expect.NoError(t, expect.Err(f.js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, ConsumerLimits: limits})))
	f.publish("s.a", "a")
	expect.NoError(t, f.reader(Section{Since: Beginning, Stop: true}).Run(t.Context()))
	f.expect("a")
}
