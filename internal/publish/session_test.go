package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// Each change of a connection is logged once, however often it is reported.
func TestSaysEachEventOnce(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	f := open(t, s.URL())
	f.tries(3)
	s.Start()
	f.connected()
	s.Stop()
	poll.Until(t, "disconnected", func() bool { return f.logged(sayDisconnected) == 1 })
	f.tries(3)
	s.Configure(`authorization { token: other }`) // another reason
	s.Start()
	f.tries(3)
	s.Stop()
	f.tries(3)
	s.Configure("")
	s.Start()
	f.connected()
	if err := f.close(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{
		sayUnreachable, sayConnected, sayMade, sayReady,
		sayDisconnected, sayUnreachable, sayConnected, sayReady,
	}
	same := func(a, b string) bool { return a == sayUnreachable && b == sayUnreachable }
	expect.Equal(t, want, slices.CompactFunc(f.messages(), same), "logged, further reasons left out")
	reasons := make(map[string]int)
	for _, entry := range f.logs.FilterMessage(sayUnreachable).All() {
		reasons[strings.ToLower(fmt.Sprint(entry.ContextMap()["error"]))]++
	}
	refused := fmt.Sprintf("dial tcp %s: connect: connection refused", s.Addr())
	if reasons[refused] != 2 || reasons["nats: authorization violation"] != 1 || len(reasons) > 4 { // a server that is stopped may break off a handshake
		t.Errorf("reasons: %v", reasons)
	}
}

func TestLogDedup(t *testing.T) {
	t.Parallel()
	d := make(logDedup)
	from := func(port int) error {
		return fmt.Errorf("reading: %w", &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Addr: &net.TCPAddr{Port: 4222}, Err: os.ErrDeadlineExceeded})
	}
	for _, step := range []struct {
		err  error
		want bool
	}{
		{errors.New("refused"), true},
		{errors.New("refused"), false},
		{errors.New("Refused"), false}, // nats.go knows two spellings
		{errors.New("other"), true},
		{errors.New("refused"), false}, // several servers fail in turn
		{from(50001), true},
		{from(50002), false}, // each attempt comes from another port
		{&net.DNSError{Err: "read udp 10.0.0.1:50001->10.0.0.10:53: i/o timeout", Name: "nats"}, true},
		{&net.DNSError{Err: "read udp 10.0.0.1:50002->10.0.0.10:53: i/o timeout", Name: "nats"}, false},
	} {
		expect.Equal(t, step.want, d.isNew(step.err), "isNew(%v)", step.err)
	}
	for i := range 10 * maxTexts {
		d.isNew(fmt.Errorf("%d", i))
	}
	if len(d) > maxTexts {
		t.Errorf("%d texts are kept", len(d))
	}
}

// A failed write ends the connection, even if nothing was written, and its reason is kept.
func TestFailedWriteEndsConnection(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	c := newConn(t.Context(), near)
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) { // nobody reads
		t.Errorf("Write: %d, %v", n, err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it can be read")
	}
	expect.ErrorIs(t, os.ErrDeadlineExceeded, context.Cause(c.alive), "the reason")
	_ = far.SetDeadline(time.Now().Add(20 * time.Second))
	expect.ErrorIs(t, io.EOF, expect.Err(far.Read(make([]byte, 1))), "reading once it is closed")
}

// hangingUp is a server that ends each connection as soon as it has begun.
func hangingUp(t *testing.T) (url string, accepted *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	accepted = new(atomic.Int64)
	go func() {
		for {
			wire, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_, _ = wire.Write([]byte(`INFO {"version":"2.15.2","headers":true,"max_payload":1000}` + "\r\n"))
			lines := bufio.NewScanner(wire)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "PING") {
				continue
			}
			_, _ = wire.Write([]byte("PONG\r\n"))
			_ = wire.Close()
		}
	}()
	return "nats://" + listener.Addr().String(), accepted
}

// A server that ends each connection as soon as it has begun is not asked again and again.
func TestPausesBetweenShortSessions(t *testing.T) {
	t.Parallel()
	url, accepted := hangingUp(t)
	start := time.Now()
	f := open(t, url)
	poll.Until(t, "lost several times", func() bool { return f.logged(sayDisconnected) >= 3 })
	if n, most := accepted.Load(), 1+int64(time.Since(start)/reconnectWait); n > most {
		t.Errorf("%d connections in %s", n, time.Since(start))
	}
}

// A command goes on when its connection is lost while it begins: nats.go reconnects.
func TestConnectionIsLostAtOnce(t *testing.T) {
	t.Parallel()
	url, _ := hangingUp(t)
	nc, err := Server{URL: url}.Connect(nats.ReconnectWait(10 * time.Millisecond))
	expect.NoError(t, err)
	defer nc.Close()
	poll.Until(t, "a second connection", func() bool { return nc.Stats().Reconnects > 0 })
}

// endless is a context that never ends, and counts what waits for that.
type endless struct {
	context.Context
	done    chan struct{}
	waiting atomic.Int64
}

func (e *endless) Done() <-chan struct{} { return e.done }

func (e *endless) AfterFunc(func()) (stop func() bool) {
	e.waiting.Add(1)
	return sync.OnceValue(func() bool {
		e.waiting.Add(-1)
		return true
	})
}

// Attempts to connect leave nothing behind, however many fail.
func TestFailedHandshakesLeaveNothing(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "authorization { token: right }")
	ctx := &endless{Context: t.Context(), done: make(chan struct{})}
	d := &dialer{ctx: ctx}
	for range 5 {
		_, err := Server{URL: s.URL(), Token: secret.New("wrong")}.connect(d, &session{log: zap.NewNop()})
		expect.ErrorIs(t, nats.ErrAuthorization, err, "connecting")
	}
	if n := ctx.waiting.Load(); n > 1 {
		t.Errorf("%d connections wait for the end of the process", n)
	}
}
