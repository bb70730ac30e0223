package ingest

import (
	"container/list"
	"context"
	"crypto/tls"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// maxConnections bounds the open connections of the public listener: several times what load
	// balancers keep open to one instance. docs/bounds.md has the worst case. A low limit on
	// open files lowers it.
	maxConnections = 4096
	// spareFiles are left for NATS, the spool and the admin listener.
	spareFiles = 256
	// handshakeWrite is the time for the writes of a TLS handshake.
	handshakeWrite = 10 * time.Second
)

// ConnLimiter bounds the connections of a listener, and the heads of their requests. A new
// connection doesn't wait for others to end: they may stay open for a quarter of an hour, and one
// sender could open them all. Instead the limiter closes another one (ADR 12): the oldest that was
// refused and has had no authentic delivery; else the oldest without an answer; else the verified
// one that has been idle longest. It never closes one whose delivery is being worked on.
type ConnLimiter struct {
	max    int
	budget *budget           // for the heads
	report func(RefusedConn) // may be nil

	mu         sync.Mutex
	changed    sync.Cond // a connection was closed, or became idle
	refused    list.List // of *conn, oldest first
	unanswered list.List
	verified   list.List // longest idle first
	open       int
	dropped    int64
	stopped    bool
}

// entry is a connection's place in the limiter. The limiter's lock guards it.
type entry struct {
	list     *list.List // nil once the connection is removed
	place    *list.Element
	busy     bool // a delivery is being worked on
	verified bool // it has had an authentic delivery; used by the connection's goroutine alone
}

// NewConnLimiter returns a limiter for at most limit connections.
func NewConnLimiter(limit int) *ConnLimiter {
	if files, ok := maxFiles(); ok && files < uint64(limit)+spareFiles {
		limit = max(int(files)-spareFiles, 16)
	}
	l := &ConnLimiter{max: limit, budget: &budget{limit: math.MaxInt64, now: time.Now}}
	l.changed.L = &l.mu
	return l
}

// Listen returns a listener with bounded connections, with TLS if config isn't nil. Its server must be
// attached (see [ConnLimiter.Attach]).
func (l *ConnLimiter) Listen(inner net.Listener, config *tls.Config) net.Listener {
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"http/1.1"}
	}
	return &listener{inner, l, config}
}

// Attach connects the server to the limiter: it sets ConnContext and ConnState.
func (l *ConnLimiter) Attach(s *http.Server) {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*conn); ok && state == http.StateIdle {
			c.end()
		}
	}
}

// connKey is the context's key for the connection of a request.
type connKey struct{}

// connOf returns a request's connection; nil if its listener isn't bounded.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// Handler wraps the handler of a listener without deliveries. There the oldest answered connection is
// closed first: if answered ones were kept longer, a new one would be closed before its request is read.
func (l *ConnLimiter) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := connOf(r.Context()); c != nil {
			defer c.held.release()
			c.begin(r.ContentLength)
		}
		h.ServeHTTP(w, r)
	})
}

// Connections returns how many connections are open, and how many were closed to admit others.
func (l *ConnLimiter) Connections() (open int, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.dropped
}

type listener struct {
	net.Listener
	limiter *ConnLimiter
	config  *tls.Config
}

// Accept waits for a connection and makes room for it.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := newConn(raw, l.limiter)
	if l.config != nil {
		c.Conn, c.tls = underTLS(raw, l.config)
		_ = raw.SetWriteDeadline(time.Now().Add(handshakeWrite))
	}
	l.limiter.admit(c)
	return c, nil
}

// Close closes the listener.
func (l *listener) Close() error {
	l.limiter.mu.Lock()
	l.limiter.stopped = true // Accept may wait for room
	l.limiter.changed.Broadcast()
	l.limiter.mu.Unlock()
	return l.Listener.Close()
}

// admit makes room for a connection.
func (l *ConnLimiter) admit(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.max && !l.stopped {
		if victim := l.victim(); victim != nil {
			l.dropped++
			l.remove(victim)
			_ = victim.raw.Close() // without SO_LINGER it doesn't wait
			continue
		}
		l.changed.Wait() // all are being worked on, for less than a second
	}
	l.open++
	c.entry.list = &l.unanswered
	c.entry.place = c.entry.list.PushBack(c)
}

// victim returns the connection to close next; nil if all are busy.
func (l *ConnLimiter) victim() *conn {
	for _, of := range []*list.List{&l.refused, &l.unanswered, &l.verified} {
		for e := of.Front(); e != nil; e = e.Next() {
			if c := e.Value.(*conn); !c.entry.busy {
				return c
			}
		}
	}
	return nil
}

// CloseSilent closes the connections that have sent nothing.
func (l *ConnLimiter) CloseSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.unanswered.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); c.isSilent() {
			_ = c.raw.Close()
		}
	}
}

// leave removes a closed connection.
func (l *ConnLimiter) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(c)
}

func (l *ConnLimiter) remove(c *conn) {
	if c.entry.list == nil {
		return
	}
	l.open--
	c.entry.list.Remove(c.entry.place)
	c.entry.list = nil
	l.changed.Signal()
}

// setBusy protects the connection from being closed until it is idle.
func (c *conn) setBusy() {
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.entry.busy = true
}

// setVerified notes that the connection has had an authentic delivery.
func (c *conn) setVerified() {
	if c != nil {
		c.entry.verified = true
	}
}

// isVerified reports whether the connection has had an authentic delivery.
func (c *conn) isVerified() bool { return c != nil && c.entry.verified }

// setIdle ends the protection and puts the connection into its list: a verified one at the end. A
// refused one keeps its place; otherwise a sender could stay by being refused again and again.
func (c *conn) setIdle() {
	if c == nil {
		return
	}
	l, e := c.limiter, &c.entry
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.list == nil {
		return
	}
	e.busy = false
	to := &l.refused
	if e.verified {
		to = &l.verified
	}
	switch {
	case e.list != to:
		e.list.Remove(e.place)
		e.list, e.place = to, to.PushBack(c)
	case e.verified:
		e.list.MoveToBack(e.place)
	}
	l.changed.Signal()
}

// refuse reports a refused connection, with the answer's status line.
func (l *ConnLimiter) refuse(c *conn, r ConnRefusal, answer string) {
	if l.report != nil {
		line, _, _ := strings.Cut(answer, "\r\n")
		_, status, _ := strings.Cut(line, " ")
		l.report(RefusedConn{r, c.raw.RemoteAddr().String(), status})
	}
}
