package natsdtest

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Line is a slow line to a server: a proxy that delays acknowledgements, and passes only so many
// bytes a second towards the server.
type Line struct {
	URL         string
	Delay       atomic.Int64 // of acknowledgements, a time.Duration
	Connections atomic.Int64 // how many were made

	bytesPerSecond int // 0: no limit
}

// SlowLine returns a line that lasts until the test ends.
func SlowLine(t testing.TB, s *Server, delay time.Duration, bytesPerSecond int) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it doesn't wait
	expect.NoError(t, err)
	l := &Line{URL: "nats://" + listener.Addr().String(), bytesPerSecond: bytesPerSecond}
	l.Delay.Store(int64(delay))
	var running sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			l.Connections.Add(1)
			server, err := net.Dial("tcp", s.Addr()) //nolint:noctx // it is there or not
			if err != nil {
				_ = client.Close()
				continue
			}
			end := sync.OnceFunc(func() { _ = client.Close(); _ = server.Close() })
			context.AfterFunc(t.Context(), end)
			running.Go(func() { defer end(); l.limited(server, client.(*net.TCPConn)) })
			running.Go(func() { defer end(); l.delayed(client, server) })
		}
	})
	return l
}

func (l *Line) limited(to io.Writer, from *net.TCPConn) {
	if l.bytesPerSecond > 0 {
		_ = from.SetReadBuffer(64 << 10)
	}
	chunk := make([]byte, 16<<10)
	free := time.Now() // when the line has passed on what it has; by the clock, since a sleep may take longer
	for {
		n, err := from.Read(chunk)
		if earliest := time.Now().Add(-50 * time.Millisecond); free.Before(earliest) { // it was idle, which isn't made up for
			free = earliest
		}
		if _, failed := to.Write(chunk[:n]); err != nil || failed != nil {
			return
		}
		if l.bytesPerSecond > 0 {
			free = free.Add(time.Duration(n) * time.Second / time.Duration(l.bytesPerSecond))
			time.Sleep(time.Until(free))
		}
	}
}

func (l *Line) delayed(to io.Writer, from io.Reader) {
	type part struct {
		at   time.Time
		text []byte
	}
	parts := make(chan part, 1<<14)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range parts {
			time.Sleep(time.Until(p.at))
			if _, err := to.Write(p.text); err != nil {
				return
			}
		}
	}()
	for {
		chunk := make([]byte, 32<<10)
		n, err := from.Read(chunk)
		if err != nil {
			break
		}
		at := time.Now()
		if bytes.Contains(chunk[:n], []byte(`"seq":`)) {
			at = at.Add(time.Duration(l.Delay.Load()))
		}
		select {
		case parts <- part{at, chunk[:n]}:
		case <-done:
			return
		}
	}
	close(parts)
	<-done
}
