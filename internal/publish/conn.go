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
}

func newConn(wire net.Conn) *conn {
	c := &conn{Conn: wire}
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

// writeTimeout allows for a large message on a slow line.
const writeTimeout = 10 * time.Second

// Write closes the connection on an error. nats.go would keep using it if nothing was written, and
// each publish in turn would wait for the time-out with the lock held.
func (c *conn) Write(b []byte) (n int, err error) {
	if err = c.SetWriteDeadline(time.Now().Add(writeTimeout)); err == nil {
		n, err = c.Conn.Write(b)
	}
	if err != nil {
		c.end(err)
	}
	return n, err
}

// Close marks the connection as lost and closes it.
func (c *conn) Close() error {
	c.lose(net.ErrClosed)
	return c.Conn.Close()
}

func (c *conn) end(reason error) {
	c.lose(reason)
	_ = c.Conn.Close()
}
