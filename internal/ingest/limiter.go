package ingest

import (
	"container/list"
	"math"
	"sync"
	"time"
)

const (
	// maxConnections bounds the open connections of the public listener. It is several times what
	// load balancers keep open to one instance. docs/bounds.md has the worst case. A low limit on
	// open files lowers it.
	maxConnections = 4096
	// spareFiles is how many open files are left for NATS, the spool and the admin listener.
	spareFiles = 256
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

// Connections returns how many connections are open, and how many were closed to admit others.
func (l *ConnLimiter) Connections() (open int, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open(), l.dropped
}

// admit makes room for a connection.
func (l *ConnLimiter) admit(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open() >= l.max && !l.stopped {
		if victim := l.victim(); victim != nil {
			l.dropped++
			l.remove(victim)
			_ = victim.raw.Close() // without SO_LINGER it doesn't wait
			continue
		}
		l.changed.Wait() // all are being worked on, for less than a second
	}
	c.entry.list = &l.unanswered
	c.entry.place = c.entry.list.PushBack(c)
}

func (l *ConnLimiter) open() int { return l.refused.Len() + l.unanswered.Len() + l.verified.Len() }

// victim returns the connection to close next; nil if all are busy.
func (l *ConnLimiter) victim() *conn {
	for _, group := range []*list.List{&l.refused, &l.unanswered, &l.verified} {
		for e := group.Front(); e != nil; e = e.Next() {
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
		c := e.Value.(*conn)
		c.mu.Lock()
		if c.prelude.len == 0 {
			_ = c.raw.Close()
		}
		c.mu.Unlock()
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
	c.entry.list.Remove(c.entry.place)
	c.entry.list = nil
	l.changed.Signal()
}

// setBusy protects the connection from being closed until it is idle.
func (c *conn) setBusy() {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.entry.busy = true
}

// setIdle ends the protection and puts the connection at the end of its list. A refused one that is there
// already keeps its place: otherwise a sender could stay by being refused again and again.
func (c *conn) setIdle() {
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
