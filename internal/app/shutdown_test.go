package app

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// A shutdown under load cuts no delivery. The senders keep their connections alive and count a cut
// connection as a lost delivery, as it would be for Flock.
func TestShutdownUnderLoad(t *testing.T) {
	b := start(t, "SHUTDOWN_DELAY=200ms")
	b.lastAnswer = time.Minute // the machine may be busy
	idle := b.dial()           // the shutdown waits for it
	idle.write(request("flock", "{}"))
	idle.read("POST")
	const senders = 16
	var stored, last atomic.Int64
	var wg sync.WaitGroup
	for s := range senders {
		c := b.dial()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		wg.Go(func() {
			for i := 0; ; i++ {
				body := flockBody(fmt.Sprintf("%d-%d", s, i), "")
				_, _ = io.WriteString(c, request("flock", body, flockHeader(t, body)))
				a, err := http.ReadResponse(c.reader, nil) //nolint:bodyclose // the connection is ours
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(a.Body)
				if err != nil || a.StatusCode != http.StatusOK {
					t.Errorf("answered %s %s, %v", a.Status, text, err)
					return
				}
				stored.Add(1)
				if a.Close {
					last.Add(1)
					return
				}
			}
		})
	}
	b.await("under load", func() bool { return stored.Load() > 2*senders })
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	b.await("shutting down", func() bool { return b.handler.Stopping.Load() })
	if status, text := b.admin("/readyz"); status != 503 || !strings.Contains(text, "shutting down") {
		t.Errorf("/readyz while shutting down: %d %s", status, text)
	}
	if _, text := b.admin("/metrics"); !strings.Contains(text, "webhook_bridge_ready 1") {
		t.Error("webhook_bridge_ready isn't 1 while shutting down: the alert WebhookBridgeNotReady would fire")
	}
	_ = idle.Close()
	wg.Wait()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	expect.Equal(t, senders, last.Load(), "connections that were asked to close")
	expect.Equal(t, stored.Load(), int64(strings.Count(b.log.String(), `"outcome":"stored"`)), "deliveries logged as stored, of those that were answered 200")
}

// delayedClose is a listener that isn't closed before the test allows it, so that a slow machine has time.
type delayedClose struct {
	net.Listener
	closing chan time.Time // when Close was called
	allowed chan struct{}
}

func (l *delayedClose) Close() error {
	select {
	case l.closing <- time.Now():
	default:
	}
	<-l.allowed
	return l.Listener.Close()
}

// During the delay new connections are accepted. After it an idle one still gets its next answer.
func TestShutdownDelay(t *testing.T) {
	const delay = 500 * time.Millisecond
	b := start(t, fmt.Sprint("SHUTDOWN_DELAY=", delay))
	expect.Equal(t, time.Second, b.lastAnswer, "how long an open connection may wait for its next answer")
	b.lastAnswer = time.Minute // the machine may be busy
	idle := b.dial()
	idle.write(request("flock", "{}"))
	if a := idle.read("POST"); a.Close {
		t.Fatal("closed too early")
	}
	b.await("serving", func() bool { return b.open() == 1 })
	listener := &delayedClose{b.publicListener, make(chan time.Time, 1), make(chan struct{})}
	b.publicListener = listener
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	b.await("shutting down", func() bool { return b.handler.Stopping.Load() })
	body := flockBody("new connection", "")
	if a := b.post("flock", body, flockHeader(t, body)); a.StatusCode != http.StatusOK || !a.Close {
		t.Errorf("a new connection during the delay: %s, close %v", a.Status, a.Close)
	}
	close(listener.allowed)
	if lasted := (<-listener.closing).Sub(began); lasted < delay {
		t.Errorf("no connection was accepted %s after SIGTERM", lasted)
	}
	b.await("not accepting", func() bool {
		c, err := net.Dial("tcp", b.PublicAddr())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	body = flockBody("idle connection", "")
	idle.write(request("flock", body, flockHeader(t, body)))
	if a := idle.read("POST"); a.StatusCode != http.StatusOK || !a.Close {
		t.Errorf("an idle connection after the delay: %s, close %v", a.Status, a.Close)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A shutdown doesn't fail because of connections without a request, even if waiting for them has used up
// SHUTDOWN_TIMEOUT.
func TestShutdownWithSilentConnections(t *testing.T) {
	b := start(t, "SHUTDOWN_TIMEOUT=50ms")
	b.minClosing = time.Minute // the machine may be busy
	idle := b.dial()
	idle.write(request("flock", "{}"))
	idle.read("POST")
	b.dial()
	b.await("two connections", func() bool { return b.open() == 2 })
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	expect.Equal(t, 0, b.open(), "open connections")
}

// A request that outlasts SHUTDOWN_TIMEOUT makes the shutdown fail, and the error says so.
func TestShutdownOutlasted(t *testing.T) {
	b := start(t, "SHUTDOWN_TIMEOUT=50ms")
	b.minClosing = 50 * time.Millisecond
	whole := request("flock", "{}")
	b.dial().write(whole[:len(whole)-1])
	b.await("a request", func() bool { return b.handler.InFlightBytes() > 0 })
	err := b.stop()
	if err == nil || !strings.Contains(err.Error(), "requests have outlasted SHUTDOWN_TIMEOUT") {
		t.Errorf("stopping: %v", err)
	}
	b.stop = func() error { return nil }
}

// A profile that is being taken neither delays a shutdown nor makes it fail.
func TestShutdownDuringProfile(t *testing.T) {
	b := start(t, "PPROF=true", "SHUTDOWN_TIMEOUT=10s")
	c, err := net.Dial("tcp", b.AdminAddr())
	expect.NoError(t, err)
	defer c.Close()
	expect.NoError(t, expect.Err(io.WriteString(c, "GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")))
	stacks := make([]byte, 1<<20)
	b.await("taking the profile", func() bool {
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("net/http/pprof.Profile("))
	})
	began := time.Now()
	expect.NoError(t, b.stop())
	expect.Within(t, 30*time.Second, began, "the shutdown")
}
