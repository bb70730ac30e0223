package ingest

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// maxConnections is how many connections the public listener has open at a time: several times what load balancers
	// in front of one instance keep. docs/bounds.md has what as many of the worst cost. Fewer where the process may not
	// have as many files open.
	maxConnections = 4096
	// spareFiles are left for what else the process opens: NATS, the spool, the admin listener.
	spareFiles = 256
	// firstWrite bounds the answers that go out before a request is whole, those of a TLS handshake.
	firstWrite = 10 * time.Second
)

// ConnLimiter bounds the connections of a listener, and the heads that come over them. Where there are too many, a new
// one is not kept waiting: connections may be kept alive for a quarter of an hour, and somebody who opened all of them
// would keep everybody out for that long. Another one is closed instead (ADR 12): the oldest of those that have been
// refused and have brought nothing authentic yet; where there are none, the oldest that has had no answer; and only then
// the verified one that has been idle longest. One whose delivery is being worked on is never closed.
type ConnLimiter struct {
	max    int
	budget *budget           // that heads are charged to; nil for none
	tell   func(RefusedConn) // nil for nobody

	mu         sync.Mutex
	changed    sync.Cond // a connection has gone, or rests
	refused    list.List // of *conn, the oldest first
	unanswered list.List
	verified   list.List // the one that has been idle longest first
	open       int
	dropped    int64
	over       bool
}

// entry is a connection's place in the limiter, whose lock guards it.
type entry struct {
	list     *list.List
	place    *list.Element
	busy     bool // something of it is being worked on
	verified bool // it has brought an authentic delivery; only who serves it looks at this
	left     bool
}

// NewConnLimiter returns a limiter of so many connections.
func NewConnLimiter(most int) *ConnLimiter {
	if files, ok := maxFiles(); ok && files < uint64(most)+spareFiles {
		most = max(int(files)-spareFiles, 16)
	}
	l := &ConnLimiter{max: most}
	l.changed.L = &l.mu
	return l
}

// Listen returns the listener with its connections bounded; their plain side, where there is a configuration of TLS. The
// server must be one that was attached.
func (l *ConnLimiter) Listen(below net.Listener, config *tls.Config) net.Listener {
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"http/1.1"}
	}
	return &listener{below, l, config}
}

// Attach has the server tell the limiter of its connections. Whoever needs its ConnState calls the one that is set, too.
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

// connOf returns a request's connection, nil where its listener isn't bounded.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// Handler returns a handler for a listener on which nobody is verified: the oldest connection goes first, whatever
// came over it. Were those that have been answered kept, a new one would be closed before its request is read.
func (l *ConnLimiter) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connOf(r.Context()).begin(r.ContentLength, &hold{})
		h.ServeHTTP(w, r)
	})
}

// Connections returns how many are open, and how many were closed until now to admit others.
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

// Accept waits for a connection, and makes room for it.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := newConn(raw, l.limiter)
	if l.config != nil {
		c.Conn, c.tls = underTLS(raw, l.config)
		_ = raw.SetWriteDeadline(time.Now().Add(firstWrite))
	}
	l.limiter.admit(c)
	return c, nil
}

// Close closes the listener.
func (l *listener) Close() error {
	l.limiter.mu.Lock()
	l.limiter.over = true // Accept may wait for room
	l.limiter.changed.Broadcast()
	l.limiter.mu.Unlock()
	return l.Listener.Close()
}

// admit makes room for a connection.
func (l *ConnLimiter) admit(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.max && !l.over {
		if leaving := l.next(); leaving != nil {
			l.dropped++
			l.remove(leaving)
			_ = leaving.raw.Close() // doesn't wait: nothing lingers
			continue
		}
		l.changed.Wait() // every one is being worked on, which takes less than a second
	}
	l.open++
	c.entry.list = &l.unanswered
	c.entry.place = c.entry.list.PushBack(c)
}

// next returns the connection that has to go next, nil where none can.
func (l *ConnLimiter) next() *conn {
	for _, of := range []*list.List{&l.refused, &l.unanswered, &l.verified} {
		for e := of.Front(); e != nil; e = e.Next() {
			if c := e.Value.(*conn); !c.entry.busy {
				return c
			}
		}
	}
	return nil
}

// leave takes a connection that is closed out of the count.
func (l *ConnLimiter) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(c)
}

func (l *ConnLimiter) remove(c *conn) {
	if c.entry.left {
		return
	}
	c.entry.left = true
	l.open--
	c.entry.list.Remove(c.entry.place)
	l.changed.Signal()
}

// work keeps the connection from being closed, until it rests.
func (c *conn) work() {
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.entry.busy = true
}

// verify makes it a verified one, from when it rests.
func (c *conn) verify() {
	if c != nil {
		c.entry.verified = true
	}
}

// isVerified reports whether it has brought an authentic delivery.
func (c *conn) isVerified() bool { return c != nil && c.entry.verified }

// rest puts a connection where it belongs once its work is done: a verified one behind all others, a refused one no
// further back than it stands, or anybody could stay by being refused again and again.
func (c *conn) rest() {
	if c == nil {
		return
	}
	l, e := c.limiter, &c.entry
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.left {
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

// report tells of a refused connection, with the answer's first line.
func (l *ConnLimiter) report(c *conn, r ConnRefusal, answer string) {
	if l.tell != nil {
		line, _, _ := strings.Cut(answer, "\r\n")
		l.tell(RefusedConn{r, c.raw.RemoteAddr().String(), strings.TrimPrefix(line, "HTTP/1.1 ")})
	}
}
