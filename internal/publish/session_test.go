package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

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
	want := []string{
		sayUnreachable, sayConnected, sayReady,
		sayDisconnected, sayUnreachable, sayConnected, sayReady,
	}
	f.says(want...)
	if err := f.close(t.Context()); err != nil {
		t.Error(err)
	}
	f.says(want...)
	last := f.logs.FilterMessage(sayUnreachable).Filter(inTime).All()[1].ContextMap()
	if fmt.Sprint(last["error"]) != s.Addr()+": nats: Authorization Violation" || !strings.Contains(fmt.Sprint(last["remedy"]), "check NATS_CREDS") {
		t.Errorf("the other reason: logged %v", last)
	}
}

// Failed attempts to connect are logged at once and then once a minute, each time with the reason of
// that moment.
func TestLogsFailedAttemptsSeldom(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		p := &Publisher{config: Config{Log: zap.New(core)}, acks: newAcks("")}
		p.config.Server.Nkey = filepath.Join(t.TempDir(), "missing") // an attempt fails without a network
		p.ctx, p.cancel = context.WithCancel(t.Context())
		go p.run()
		time.Sleep(10*time.Minute + time.Second)
		p.cancel()
		p.acks.timer.Stop()
		synctest.Wait()
	})
	if n := logs.FilterMessage(sayUnreachable).Len(); n < 10 || n > 11 {
		t.Errorf("failed attempts were logged %d times in ten minutes", n)
	}
}

// Servers that fail in turn, for different reasons, don't fill the log.
func TestSaysEachRemedyOnce(t *testing.T) {
	t.Parallel()
	url, _ := hangingUp(t, "-ERR 'Authorization Violation'\r\n", "-ERR 'Account Authentication Expired'\r\n")
	f := open(t, url)
	f.tries(6)
	f.says(sayUnreachable, sayUnreachable)
}

// A failed write ends the connection, even if nothing was written, and its reason is kept.
func TestFailedWriteEndsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testFailedWrite)
}

func testFailedWrite(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	c := newConn(near)
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

// A look-up reads dropped messages again, so they aren't worth a line. A dropped acknowledgement is.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	nc := natsdtest.Connect(t, natsdtest.Start(t, "").URL()).Conn()
	buffer, err := nc.ChanSubscribe("lookup", make(chan *nats.Msg))
	expect.NoError(t, err)
	acks, err := nc.Subscribe("acks", func(*nats.Msg) {})
	expect.NoError(t, err)
	core, logs := observer.New(zap.InfoLevel)
	s := &session{log: zap.New(core)}
	s.asyncError(nc, buffer, nats.ErrSlowConsumer)
	expect.Equal(t, 0, logs.Len(), "lines about a look-up")
	s.asyncError(nc, acks, nats.ErrSlowConsumer)
	expect.Equal(t, 1, logs.Len(), "lines about an acknowledgement")
}

// hangingUp is a server that sends one of the answers, in turn, to the first ping of each connection, and
// then ends the connection.
func hangingUp(t *testing.T, answers ...string) (url string, accepted *atomic.Int64) {
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
			answer := answers[int(accepted.Add(1))%len(answers)]
			_, _ = wire.Write([]byte(`INFO {"version":"2.15.2","headers":true,"max_payload":1000}` + "\r\n"))
			lines := bufio.NewScanner(wire)
			for lines.Scan() && !strings.HasPrefix(lines.Text(), "PING") {
				continue
			}
			_, _ = wire.Write([]byte(answer))
			_ = wire.Close()
		}
	}()
	return "nats://" + listener.Addr().String(), accepted
}

// A server that ends each connection as soon as it has begun is not asked again and again, and not
// logged as connected.
func TestPausesBetweenShortSessions(t *testing.T) {
	t.Parallel()
	url, accepted := hangingUp(t, "PONG\r\n")
	start := time.Now()
	f := open(t, url)
	f.tries(3)
	for _, entry := range f.logs.All() {
		expect.Equal(t, sayUnreachable, entry.Message, "logged")
	}
	if n := len(f.messages()); n > 1 || f.logs.Len() == 0 {
		t.Errorf("logged %d times, want once", n)
	}
	if n, most := accepted.Load(), 1+int64(time.Since(start)/reconnectWait); n > most {
		t.Errorf("%d connections in %s", n, time.Since(start))
	}
}

// A command goes on when its connection is lost while it begins: nats.go reconnects.
func TestConnectionIsLostAtOnce(t *testing.T) {
	t.Parallel()
	url, _ := hangingUp(t, "PONG\r\n")
	nc, err := Server{URL: url}.Connect(nats.ReconnectWait(10 * time.Millisecond))
	expect.NoError(t, err)
	defer nc.Close()
	poll.Until(t, "a second connection", func() bool { return nc.Stats().Reconnects > 0 })
}
