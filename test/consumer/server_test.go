package consumer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// bound is how long a test waits for anything; long, for slow machines.
const bound = 2 * time.Minute

// natsd is a nats-server at one address with one store.
type natsd struct {
	t       *testing.T
	options *server.Options
	server  *server.Server
	js      jetstream.JetStream // of the tests
}

// serve starts a server with that configuration, and makes the stream of events.
func serve(t *testing.T, conf string) *natsd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "conf")
	noError(t, os.WriteFile(file, []byte(conf), 0o600))
	o, err := server.ProcessConfigFile(file)
	noError(t, err)
	o.Host, o.Port, o.JetStream, o.StoreDir, o.NoLog, o.NoSigs = "127.0.0.1", freePort(), true, t.TempDir(), true, true
	o.AuthTimeout = bound.Seconds() // a busy machine's client may be slow
	n := &natsd{t: t, options: o}
	n.start()
	t.Cleanup(n.stop)
	n.js = n.connect("")
	n.stream("WEBHOOKS", "webhooks.>")
	return n
}

var given atomic.Int64 // the number of ports that were given

// freePort returns a port on which nothing listens. No outgoing connection is given it, not even one to
// this very port while its server is stopped, so that the server finds it free again.
func freePort() int {
	for {
		port := 10_000 + (os.Getpid()*100+int(given.Add(1)))%20_000
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return port
		}
		_ = c.Close()
	}
}

func (n *natsd) start() {
	n.t.Helper()
	s, err := server.NewServer(n.options)
	noError(n.t, err)
	s.Start()
	if !s.ReadyForConnections(bound) {
		n.t.Fatal("nats-server isn't ready")
	}
	n.server = s
}

func (n *natsd) stop() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

func (n *natsd) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.options.Port) }

// connect returns JetStream for a user, "" for the only one.
func (n *natsd) connect(user string, more ...nats.Option) jetstream.JetStream {
	n.t.Helper()
	nc, err := nats.Connect(n.url(), append(more, nats.Timeout(bound), nats.UserInfo(user, user), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))...)
	noError(n.t, err)
	n.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	noError(n.t, err)
	return js
}

func (n *natsd) stream(name, subjects string) {
	n.t.Helper()
	if _, err := n.js.CreateStream(n.t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}}); err != nil {
		n.t.Fatal(err)
	}
}

// publish publishes events whose ids are the numbers from and up to, and returns how many.
func (n *natsd) publish(from, to int) int {
	n.t.Helper()
	for i := from; i <= to; i++ {
		e := event.New(event.Event{
			ID: fmt.Sprint(i), Provider: "flock", Event: "invitee.accepted", Signed: "payload", Data: fmt.Appendf(nil, `{"data":{"invitee":{"id":"u%d"}}}`, i),
		}, "flock", "com.withflock.", time.Time{})
		e.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		m := nats.NewMsg("webhooks.flock.invitee.accepted")
		m.Data = e.Encode()
		m.Header.Set("Content-Type", event.ContentType)
		if _, err := n.js.PublishMsg(n.t.Context(), m, jetstream.WithMsgID(e.ID), jetstream.WithExpectStream("WEBHOOKS")); err != nil {
			n.t.Fatal(err)
		}
	}
	return to - from + 1
}

// settled reports whether a durable has had all, and acknowledged all.
func (n *natsd) settled(durable string) bool {
	c, err := n.js.Consumer(n.t.Context(), "WEBHOOKS", durable)
	return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
}

// dead returns the dead letters.
func (n *natsd) dead() (all []*jetstream.RawStreamMsg) {
	n.t.Helper()
	stream, err := n.js.Stream(n.t.Context(), "WEBHOOKS_DEAD")
	noError(n.t, err)
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(n.t.Context(), seq)
		noError(n.t, err)
		all = append(all, m)
	}
	return all
}

// running is a Run in the background.
type running struct {
	t    *testing.T
	stop context.CancelFunc
	err  chan error
}

// unused is a handler that isn't called, or whose events don't matter.
func unused(context.Context, *consumer.Message) error { return nil }

// options are short, for tests, but for the ack wait: on a machine that stalls events would come again.
func options(o consumer.Options) consumer.Options {
	o.Durable = "rewards"
	if o.AckWait == 0 {
		o.AckWait = time.Minute
	}
	if o.Backoff == 0 {
		o.Backoff = 10 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return o
}

func run(t *testing.T, js jetstream.JetStream, o consumer.Options, handler consumer.Handler) *running {
	ctx, stop := context.WithCancel(t.Context())
	r := &running{t: t, stop: stop, err: make(chan error, 1)}
	go func() { r.err <- consumer.Run(ctx, js, options(o), handler) }()
	t.Cleanup(stop)
	return r
}

// ended waits for Run's end and returns its error.
func (r *running) ended() error {
	r.t.Helper()
	select {
	case err := <-r.err:
		return err
	case <-time.After(bound):
		r.t.Fatal("Run doesn't end")
		return nil
	}
}

// stopped stops Run and expects no error.
func (r *running) stopped() {
	r.t.Helper()
	r.stop()
	noError(r.t, r.ended())
}

// tally counts handler calls by event.
type tally struct {
	sync.Mutex
	calls map[string]int
}

func (c *tally) add(id string) int {
	c.Lock()
	defer c.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[id]++
	return c.calls[id]
}

// all returns how many events there were, and how many calls.
func (c *tally) all() (events, calls int) {
	c.Lock()
	defer c.Unlock()
	for _, n := range c.calls {
		events, calls = events+1, calls+n
	}
	return events, calls
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(bound); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", bound, what)
		}
	}
}

// noError ends the test if there is an error.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
