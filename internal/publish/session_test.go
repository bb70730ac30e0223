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
	if err := f.close(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{
		sayUnreachable, sayConnected, sayMade, sayReady,
		sayDisconnected, sayUnreachable, sayUnreachable, sayConnected, sayReady,
	}
	expect.Equal(t, want, f.messages(), "logged")
	last := f.logs.FilterMessage(sayUnreachable).All()[2].ContextMap()
	if fmt.Sprint(last["error"]) != "nats: Authorization Violation" || !strings.Contains(fmt.Sprint(last["remedy"]), "check NATS_CREDS") {
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

// fakeServer returns the address of a server that answers a client's lines. It ends a connection where
// answer returns false.
func fakeServer(t *testing.T, answer func(connection int, line string) (string, bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, `INFO {"server_id":"X","version":"2.10.0","headers":true,"max_payload":1048576}`+"\r\n")
			for in := bufio.NewScanner(c); in.Scan(); {
				text, ok := answer(n, in.Text())
				if !ok {
					break
				}
				_, _ = io.WriteString(c, text)
			}
			_ = c.Close()
		}
	}()
	return "nats://" + l.Addr().String()
}

// A server that ends each connection as soon as it has begun isn't logged as connected.
func TestServerThatEndsConnections(t *testing.T) {
	t.Parallel()
	f := open(t, fakeServer(t, func(_ int, line string) (string, bool) {
		if strings.HasPrefix(line, "PING") {
			return "PONG\r\n", true
		}
		return "", !strings.HasPrefix(line, "SUB")
	}))
	f.tries(4)
	expect.Equal(t, []string{sayUnreachable}, f.messages(), "logged")
}

// Servers that fail in turn, for different reasons, don't fill the log.
func TestSaysEachRemedyOnce(t *testing.T) {
	t.Parallel()
	f := open(t, fakeServer(t, func(connection int, _ string) (string, bool) {
		return []string{"-ERR 'Authorization Violation'\r\n", "-ERR 'Account Authentication Expired'\r\n"}[connection%2], true
	}))
	f.tries(6)
	expect.Equal(t, []string{sayUnreachable, sayUnreachable}, f.messages(), "logged")
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
