package publish

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

const dialTimeout = 2 * time.Second // for each address, and for each handshake

// dialer dials for nats.go. It also looks up the names of servers, which nats.go would do without a context.
type dialer struct {
	ctx    context.Context // of look-ups and dialling
	others []string        // addresses of other servers of the cluster; they replace one that is down
	last   *conn           // the last connection; its handshake may not have ended
	failed error           // the last error of dialling in this attempt to connect
}

// Dial implements nats.CustomDialer. It tries all addresses of the server in random order. The one whose
// handshake has just failed comes last.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if err := d.ctx.Err(); err != nil { // the look-up of an IP address doesn't check the context
		return nil, err
	}
	addresses, err := d.lookUp(address)
	if err != nil {
		d.failed = err
	}
	addresses = append(addresses, d.others...)
	if d.last != nil {
		_ = d.last.Close() // nats.go leaves it open after a failed handshake
		silent := d.last.RemoteAddr().String()
		if i := slices.Index(addresses, silent); i >= 0 {
			addresses = append(slices.Delete(addresses, i, i+1), silent)
		}
		d.last = nil
	}
	for _, to := range addresses {
		var wire net.Conn
		if wire, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(d.ctx, network, to); err == nil {
			d.last = newConn(wire)
			return d.last, nil
		}
		d.failed = err
	}
	return nil, err
}

// lookUp returns the addresses of a server in random order.
func (d *dialer) lookUp(server string) (addresses []string, err error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	for _, i := range rand.Perm(len(hosts)) { //nolint:gosec // nobody gains by guessing it
		addresses = append(addresses, net.JoinHostPort(hosts[i], port))
	}
	return addresses, err
}

// conn is a network connection that notices its loss before nats.go does.
type conn struct {
	net.Conn
	began time.Time
	alive context.Context // ends when the connection is lost; its cause is the first error
	lose  context.CancelCauseFunc
	cut   atomic.Bool // a write has failed, perhaps within a message
}

func newConn(wire net.Conn) *conn {
	c := &conn{Conn: wire, began: time.Now()}
	c.alive, c.lose = context.WithCancelCause(context.Background())
	return c
}

// Read closes the connection after an error, which ends a write in progress.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		_ = c.end(err)
	}
	return n, err
}

const (
	writeTimeout = 10 * time.Second       // allows for a large message on a slow line
	readTime     = 100 * time.Millisecond // to read why the server has closed the connection
)

// Write writes nothing after an error, and soon closes the connection. If nothing was written, nats.go would
// keep using it, and each publish in turn would wait for the time-out with nats.go's lock held.
func (c *conn) Write(b []byte) (n int, err error) {
	if c.cut.Load() {
		return 0, net.ErrClosed
	}
	if err = c.SetWriteDeadline(time.Now().Add(writeTimeout)); err == nil {
		n, err = c.Conn.Write(b)
	}
	if err != nil {
		c.cut.Store(true)
		time.AfterFunc(readTime, func() { _ = c.end(err) })
	}
	return n, err
}

// Close marks the connection as lost and closes it.
func (c *conn) Close() error { return c.end(net.ErrClosed) }

func (c *conn) end(reason error) error {
	c.lose(reason)
	return c.Conn.Close()
}
