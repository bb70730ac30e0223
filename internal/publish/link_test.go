package publish

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// Each event of a connection's life is logged once, however often it is met.
func TestSaysEachEventOnce(t *testing.T) {
	t.Parallel()
	s := natsdtest.New(t, "")
	f := open(t, s.URL())
	tried := func() {
		t.Helper()
		for range 3 {
			before := f.link.lastError.Load()
			poll.Until(t, "tried again", func() bool { now := f.link.lastError.Load(); return now != nil && now != before })
		}
	}
	tried()
	s.Start()
	f.connected()
	s.Stop()
	poll.Until(t, "disconnected", func() bool { return f.logged(sayDisconnected) == 1 })
	tried()
	s.Configure(`authorization { token: other }`) // another reason
	s.Start()
	tried()
	s.Stop()
	tried()
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
	if diff := cmp.Diff(want, slices.CompactFunc(f.messages(), same)); diff != "" {
		t.Errorf("logged, further reasons left out (-want +got):\n%s", diff)
	}
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
	var d logDedup
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
	} {
		if got := d.isNew(step.err); got != step.want {
			t.Errorf("isNew(%v) = %t", step.err, got)
		}
	}
	d.clear()
	if !d.isNew(errors.New("refused")) {
		t.Error("it isn't forgotten")
	}
	for i := range 10 * maxTexts {
		d.isNew(fmt.Errorf("%d", i))
	}
	if len(d.texts) > maxTexts {
		t.Errorf("%d texts are kept", len(d.texts))
	}
}

// newPipe returns a link that is up, and the other end of its connection.
func newPipe(t *testing.T) (*link, *conn, net.Conn) {
	t.Helper()
	l := newLink(zap.NewNop(), func() {}, func() {}, func() {})
	l.away.Store(false)
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	c := newConn(l, near)
	l.current.Store(c)
	l.up.Store(c)
	if err := l.enter(); err != nil {
		t.Fatal(err)
	}
	l.leave()
	return l, c, far
}

// A caller that saw the connection up finishes before its loss is reported, which is when nats.go
// locks itself to dial.
func TestLossIsReportedOnceNobodyIsInside(t *testing.T) {
	t.Parallel()
	l, c, far := newPipe(t)
	if err := l.enter(); err != nil {
		t.Fatal(err)
	}
	var left atomic.Bool
	reported := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 1))
		if !left.Load() {
			err = errors.New("the loss was reported while somebody was inside")
		}
		reported <- err
	}()
	_ = far.Close()
	poll.Until(t, "lost", func() bool { return c.alive.Err() != nil })
	if err := l.enter(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("somebody else may enter: %v", err)
	}
	time.Sleep(20 * time.Millisecond) // time enough to report it too early
	left.Store(true)
	l.leave()
	if err := <-reported; !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if n := l.inside.Load(); n != 0 {
		t.Errorf("%d are inside", n)
	}
}

func TestLossIsReportedInBoundedTime(t *testing.T) {
	t.Parallel()
	l, c, far := newPipe(t)
	if err := l.enter(); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // returns, though nobody leaves
		t.Error(err)
	}
}

// A write that fails ends the connection, also when nothing of it was written, and its reason is
// what the reader is told.
func TestFailedWriteEndsConnection(t *testing.T) {
	t.Parallel()
	l, c, far := newPipe(t)
	if err := c.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write: %d, %v", n, err)
	}
	if l.isUp() {
		t.Fatal("it counts as up")
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	_ = far.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("it isn't closed: %v", err)
	}
}

// A write that failed is reported by nats.go as an error and then as a loss: that is one event.
func TestSaysLossOnce(t *testing.T) {
	t.Parallel()
	l, c, _ := newPipe(t)
	core, logs := observer.New(zapcore.DebugLevel)
	l.log = zap.New(core)
	failed := errors.New("write failed")
	_ = c.Close()
	l.asyncError(nil, nil, failed)
	if logs.Len() > 0 {
		t.Errorf("said before the loss: %v", logs.All())
	}
	l.disconnected(nil, failed)
	l.asyncError(nil, nil, errors.New("refused"))
	var got []string
	for _, entry := range logs.All() {
		got = append(got, entry.Message)
	}
	if diff := cmp.Diff([]string{sayDisconnected, sayUnreachable}, got); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}

func TestNothingBeginsWhileClosing(t *testing.T) {
	t.Parallel()
	l, c, _ := newPipe(t)
	l.stop()
	if err := l.open(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := l.enter(); err != nil { // what has begun is still sent
		t.Error(err)
	}
	l.leave()
	_ = c.Close()
	if err := l.enter(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a connection: %v", err)
	}
	if n := l.inside.Load(); n != 0 {
		t.Errorf("%d are inside", n)
	}
}

func TestIsUp(t *testing.T) {
	t.Parallel()
	l := newLink(zap.NewNop(), nil, nil, nil)
	a, b := newConn(l, nil), newConn(l, nil)
	lost := newConn(l, nil)
	lost.lose(io.EOF)
	for _, test := range []struct {
		name        string
		up, current *conn
		want        bool
	}{
		{"never dialled", nil, nil, false},
		{"shaking hands", nil, a, false},
		{"up", a, a, true},
		{"dialling another", a, nil, false},
		{"shaking hands with another", a, b, false},
		{"lost", lost, lost, false},
	} {
		l.up.Store(test.up)
		l.current.Store(test.current)
		if got := l.isUp(); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
		if err := l.ready(); (err == nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	cause := errors.New("the cause")
	l.lastError.Store(&cause)
	if err := l.ready(); !errors.Is(err, cause) || !errors.Is(err, ErrUnavailable) || !strings.HasPrefix(err.Error(), "cannot be made durable now: NATS is not connected: ") {
		t.Errorf("ready: %v", err)
	}
}
