package publish

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestStartsBeforeNATS(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	f := open(t, s.URL())
	f.refuses("early")
	f.AwaitChecks(t.Context(), time.Minute) // returns as soon as it is known that NATS is away
	start := time.Now()
	f.refuses("before")
	expect.Within(t, f.config.Timeout, start, "the refusal")
	if err := f.Ready(); f.IsConnected() || err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("connected: %t, ready: %v", f.IsConnected(), err)
	}
	s.Start()
	f.connected().stores("after")
	expect.Equal(t, []string{"after"}, natsdtest.IDs(t, natsdtest.Connect(t, s.URL())), "stored")
}

// A server that accepts connections and stays silent must delay neither start nor shutdown.
func TestOpensAndClosesWhileServerIsSilent(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer func() { _ = silent.Close() }()
	poll.Until(t, "opened and closed before the handshake's time-out", func() bool { // once is enough: a busy machine may be slow
		start := time.Now()
		f := open(t, "nats://"+silent.Addr().String())
		wire, err := silent.Accept()
		expect.NoError(t, err)
		if err := f.close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		took := time.Since(start)
		_ = wire.SetReadDeadline(time.Now().Add(20 * time.Second))
		expect.ErrorIs(t, io.EOF, expect.Err(wire.Read(make([]byte, 1))), "reading once it is closed")
		f.refuses("closed")
		return took < dialTimeout
	})
}

func TestRefusesWhileServerIsDown(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	f.stores("before")
	for round := range 3 {
		s.Stop()
		poll.Until(t, "disconnected", func() bool { return !f.IsConnected() })
		for i := range 50 {
			start := time.Now()
			f.refuses(fmt.Sprintf("down %d %d", round, i))
			expect.Within(t, f.config.Timeout, start, "the refusal")
		}
		// A message that passes the check of our state while the connection breaks isn't buffered
		// either. nats.go learns of the loss a moment after us; until then it writes to the dead
		// connection.
		session := f.session.Load()
		<-session.closed
		expect.ErrorIs(t, nats.ErrConnectionClosed, session.nc.Publish(subject, nil), "what nats.go says of a message while disconnected")
		s.Start()
		f.connected().stores(fmt.Sprint("after ", round))
	}
	expect.Equal(t, []string{"before", "after 0", "after 1", "after 2"}, natsdtest.IDs(t, natsdtest.Connect(t, s.URL())), "stored")
}

// A publish that waits for its acknowledgement fails as soon as the connection is lost, not after
// its time-out.
func TestRefusesWhenServerDies(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	f := open(t, s.URL(), withTimeout(10*time.Minute)).connected()
	s.Pause()
	refused := make(chan error, 1)
	go func() {
		_, err := f.publish("dying")
		refused <- err
	}()
	poll.Until(t, "an acknowledgement is awaited", func() bool { return f.acks.waiting() == 1 })
	s.Kill()
	// The message may not even have been handed to nats.go: the words of the error depend on that.
	if err := <-refused; !errors.Is(err, ErrUnavailable) || CauseOf(err) != Disconnected {
		t.Errorf("got %v, want it refused as %s", err, Disconnected)
	}
}

func TestOutlivesRefusedCredentials(t *testing.T) {
	t.Parallel()
	right, wrong := `authorization { user: bridge, password: right }`, `authorization { user: bridge, password: other }`
	s := natsdtest.Start(t, right)
	f := open(t, "nats://bridge:right@"+s.Addr()).connected()
	for round := range 3 {
		s.Stop()
		s.Configure(wrong)
		s.Start()
		poll.Until(t, "disconnected", func() bool { return f.logged(sayDisconnected) == round+1 })
		f.tries(4)
		f.refuses("refused")
		f.notReady("authorization violation")
		s.Stop()
		s.Configure(right)
		s.Start()
		f.connected().stores(fmt.Sprint("after ", round))
	}
}

// A connection that the server ends is replaced. Here the server's limit is lowered while it runs,
// which it doesn't announce, and it disconnects a client that sends more.
func TestOutlivesClosedConnection(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "max_payload: 100000")
	f := open(t, s.URL()).connected()
	first := f.session.Load()
	s.Reload("max_payload: 10000")
	large := Message{Subject: subject, ID: "large", Data: make([]byte, 20_000)}
	expect.ErrorIs(t, ErrUnavailable, expect.Err(f.Publish(t.Context(), large)), "the error")
	poll.Until(t, "another connection", func() bool { return f.session.Load() != first })
	f.connected().stores("after")
	expect.ErrorIs(t, ErrTooLarge, expect.Err(f.Publish(t.Context(), large)), "once the limit is known")
	// The server closes with unread bytes, so the kernel may drop its last words.
	why := fmt.Sprint(f.first(sayDisconnected)["error"])
	if why != "nats: Maximum Payload Violation" && !strings.Contains(why, "connection reset by peer") && !strings.Contains(why, "broken pipe") {
		t.Errorf("disconnected: %s", why)
	}
	if err := f.close(t.Context()); err != nil {
		t.Error(err)
	}
	<-first.closed
	<-f.session.Load().closed
}

func TestSeveralServers(t *testing.T) {
	t.Parallel()
	a, b := natsdtest.Start(t, ""), natsdtest.New(t, "")
	f := open(t, "nats://127.0.0.1:1, "+b.URL()+","+a.URL()).connected()
	f.stores("on a")
	b.Start()
	a.LameDuck()
	poll.Until(t, "moved to b", func() bool { return f.isOn(b) && f.Ready() == nil })
	f.stores("on b")
	a.Start()
	b.Stop()
	poll.Until(t, "moved back to a", func() bool { return f.isOn(a) && f.Ready() == nil })
	f.stores("on a again")
	if n := f.logged(sayLameDuck); n != 1 {
		t.Errorf("the server's farewell was logged %d times", n)
	}
}

// On a slow line a large message takes seconds to write. The connection must not be given up for
// that: the message would never get through.
func TestLargeMessageOnSlowLine(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "max_payload: 8MB")
	line := natsdtest.SlowLine(t, s, 0, 2<<20)
	f := open(t, line.URL, withTimeout(time.Second)).connected()
	before := line.Connections.Load()
	large := Message{Subject: subject, ID: "large", Data: make([]byte, 6<<20)}
	poll.Until(t, "a large message is stored", func() bool { // a busy machine may take longer than the time-out
		return f.PublishAll(t.Context(), []Message{large})[0].Err == nil
	})
	expect.Equal(t, before, line.Connections.Load(), "connections needed")
}
