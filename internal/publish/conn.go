package publish

import (
	"context"
	"net"
	"time"
)

// conn is a connection on the wire. It reports its loss before nats.go knows of it.
type conn struct {
	net.Conn
	alive context.Context // ends when the connection is lost; its cause is the first reason
	lose  context.CancelCauseFunc

	established func() bool // lets it outlive the context that ends handshakes
}

// newConn returns a connection that is closed when the context ends, until it is established.
func newConn(ctx context.Context, wire net.Conn) *conn {
	c := &conn{Conn: wire, established: context.AfterFunc(ctx, func() { _ = wire.Close() })}
	c.alive, c.lose = context.WithCancelCause(context.Background())
	return c
}

// Read closes the connection on an error, which ends a write in progress.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.end(err)
	}
	return n, err
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
		c.end(err)
	}
	return n, err
}

// Close marks the connection as lost and closes it.
func (c *conn) Close() error {
	c.established() // else the context would hold it for ever
	c.lose(net.ErrClosed)
	return c.Conn.Close()
}

func (c *conn) end(reason error) {
	c.lose(reason)
	_ = c.Conn.Close()
}
