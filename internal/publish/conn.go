package publish

import (
	"context"
	"errors"
	"net"
	"time"
)

// conn is one connection on the wire. It tells the link of a loss before nats.go learns of it.
type conn struct {
	net.Conn
	link  *link
	alive context.Context // ends when the connection is lost; its cause is the first reason
	lose  context.CancelCauseFunc
}

func newConn(l *link, wire net.Conn) *conn {
	c := &conn{Conn: wire, link: l}
	c.alive, c.lose = context.WithCancelCause(context.Background())
	return c
}

var errNotOpened = errors.New("not opened yet")

// Dial makes link a nats.CustomDialer. It refuses until the publisher is open: nats.Connect dials
// every server before it returns, and a silent one would delay the start.
func (l *link) Dial(network, address string) (net.Conn, error) {
	if !l.opened.Load() {
		return nil, errNotOpened
	}
	l.dialled.Store(true)
	if last := l.current.Swap(nil); last != nil {
		_ = last.Close() // nats.go leaves it open after a failed handshake
		if last != l.up.Load() {
			l.silent = last.RemoteAddr().String()
		}
	}
	wire, err := l.dial(network, address)
	if err != nil {
		return nil, err
	}
	c := newConn(l, wire)
	l.current.Store(c)
	if l.ctx.Err() != nil { // stop may have run before the Store above
		_ = c.Close()
	}
	return c, nil
}

// Read returns an error only after every publish has left nats.go. Until Read returns, nats.go
// doesn't dial again; while it dials, it holds the lock that a publish needs.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		return n, nil
	}
	c.lose(err)
	_ = c.Conn.Close() // ends a write in progress
	if c == c.link.up.Load() {
		c.link.waitOutside()
		c.link.onLost()
	}
	return n, context.Cause(c.alive)
}

const (
	// writeStall is how long a write may make no progress. A full send buffer accepts more only
	// when a third of it is free (Linux, sk_stream_is_writeable), which takes seconds on a slow
	// line.
	writeStall = 2 * time.Second
	writeBound = 10 * time.Second // for a write as a whole
	writePiece = 16 << 10
)

// Write writes in pieces, each with its own deadline: a large message on a slow line takes longer
// than a dead server may. It closes the connection on an error. nats.go would keep using it if
// nothing was written, and each publish in turn would wait for the time-out with the lock held.
func (c *conn) Write(b []byte) (n int, err error) {
	bound := time.Now().Add(writeBound)
	for n < len(b) && err == nil {
		deadline := time.Now().Add(writeStall)
		if deadline.After(bound) {
			deadline = bound
		}
		var written int
		if err = c.SetWriteDeadline(deadline); err == nil {
			written, err = c.Conn.Write(b[n:min(n+writePiece, len(b))])
		}
		n += written
	}
	if err != nil {
		c.lose(err)
		_ = c.Close()
	}
	return n, err
}

// Close marks the connection as lost and closes it.
func (c *conn) Close() error {
	c.lose(net.ErrClosed)
	return c.Conn.Close()
}
