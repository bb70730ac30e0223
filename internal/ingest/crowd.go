package ingest

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"runtime"
	"sync"
)

// maxConnections is how many connections the public listener has open at a time: several times what load
// balancers in front of one instance keep. With as many idle ones, and more coming all the time, the process
// took 166 MB (docs/bounds.md). Fewer where it may not have as many files open.
const maxConnections = 4096

// sparedFiles are left for what else the process opens: NATS, the spool, the admin listener.
const sparedFiles = 256

// crowd bounds the connections. Where there are too many, a new one is not kept waiting: connections may be kept
// alive for IdleTimeout, and whoever opened all of them would keep everybody out for that long. Another one is closed
// instead (ADR 12): first of the strangers, which have never brought an authentic delivery, the one that has gone
// longest without an answer, which a sender in earnest is not; only where there are none, the one of the known that
// has been idle longest. One whose delivery is being worked on is never closed.
type crowd struct {
	limit     int
	mu        sync.Mutex
	changed   sync.Cond // a connection has gone, or has its answer
	strangers list.List // of *connection, in the order of their beginning or their last answer
	known     list.List
	open      int
	dropped   int64
	over      bool
}

// newCrowd returns a crowd of that limit at the most.
func newCrowd(limit int) *crowd {
	if files, ok := maxFiles(); ok && files < uint64(limit)+sparedFiles {
		limit = max(int(files)-sparedFiles, 16)
	}
	c := &crowd{limit: limit}
	c.changed.L = &c.mu
	return c
}

// connection is one of the crowd.
type connection struct {
	net.Conn
	crowd  *crowd
	list   *list.List // where it stands
	place  *list.Element
	busy   bool // something of it is being worked on
	proven bool // it has brought an authentic delivery
	closed bool

	reading reading
}

// Limit returns the listener with its connections counted. The server must be that of [Handler.Server]; TLS
// belongs on top of what Limit returns.
func (h *Handler) Limit(l net.Listener) net.Listener { return &limited{l, h.crowd} }

// Connections is how many are open, and how many were closed until now to admit others.
func (h *Handler) Connections() (open int, dropped int64) {
	h.crowd.mu.Lock()
	defer h.crowd.mu.Unlock()
	return h.crowd.open, h.crowd.dropped
}

type limited struct {
	net.Listener
	crowd *crowd
}

// Accept waits for a connection, and makes room for it.
func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.crowd.admit(conn), nil
}

// Close closes the listener.
func (l *limited) Close() error {
	l.crowd.mu.Lock()
	l.crowd.over = true // Accept may wait for room
	l.crowd.changed.Broadcast()
	l.crowd.mu.Unlock()
	return l.Listener.Close()
}

func (c *crowd) admit(conn net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.limit && !c.over {
		if leaving := c.longest(); leaving != nil {
			c.dropped++
			c.leaves(leaving)
			_ = leaving.Conn.Close() // doesn't wait: nothing lingers
			continue
		}
		c.changed.Wait() // every one is being worked on, which takes less than a second
	}
	c.open++
	joining := &connection{Conn: conn, crowd: c, list: &c.strangers}
	joining.place = joining.list.PushBack(joining)
	return joining
}

// longest is who has to go next, nil where nobody can.
func (c *crowd) longest() *connection {
	for _, l := range []*list.List{&c.strangers, &c.known} {
		for e := l.Front(); e != nil; e = e.Next() {
			if conn := e.Value.(*connection); !conn.busy {
				return conn
			}
		}
	}
	return nil
}

// leaves takes a connection out of the count.
func (c *crowd) leaves(conn *connection) {
	if conn.closed {
		return
	}
	conn.closed = true
	c.open--
	conn.list.Remove(conn.place)
	c.changed.Signal()
}

// Close closes the connection.
func (conn *connection) Close() error {
	conn.crowd.mu.Lock()
	conn.crowd.leaves(conn)
	conn.crowd.mu.Unlock()
	return conn.Conn.Close()
}

// works keeps the connection from being closed, until it rests. Without a connection it does nothing, nor does
// proves: a server without [Handler.Limit] has none.
func (conn *connection) works() {
	if conn == nil {
		return
	}
	conn.crowd.mu.Lock()
	defer conn.crowd.mu.Unlock()
	conn.busy = true
}

// proves makes it one of the known, from when it rests. Both happen in the goroutine that serves it.
func (conn *connection) proves() {
	if conn != nil {
		conn.proven = true
	}
}

// rests puts it behind all others: its answer has gone out.
func (conn *connection) rests() {
	c := conn.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.closed {
		return
	}
	conn.busy = false
	if conn.proven && conn.list != &c.known {
		conn.list.Remove(conn.place)
		conn.list = &c.known
		conn.place = c.known.PushBack(conn)
	} else {
		conn.list.MoveToBack(conn.place)
	}
	c.changed.Signal()
}

// connectionKey is the context's key for the connection of a request.
type connectionKey struct{}

// below is the connection under what the server has, which is TLS or itself; nil where its listener has no limit.
func below(c net.Conn) *connection {
	conn, ok := c.(*connection)
	if above, isAbove := c.(interface{ NetConn() net.Conn }); !ok && isAbove {
		conn, _ = above.NetConn().(*connection)
	}
	return conn
}

// withConnection is http.Server's ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, below(c))
}

func connectionOf(ctx context.Context) *connection {
	conn, _ := ctx.Value(connectionKey{}).(*connection)
	return conn
}

// changedState is http.Server's ConnState. Between two requests of a connection others have their turn: one whose
// requests lie there already never waits, and would keep a core for the scheduler's time slice of 10 ms; with hundreds
// of those a good delivery waited for seconds.
func changedState(c net.Conn, state http.ConnState) {
	if state != http.StateIdle {
		return
	}
	waits := false
	if conn := below(c); conn != nil {
		waits = conn.reading.ends()
		conn.rests()
	}
	if !waits {
		runtime.Gosched()
	}
}
