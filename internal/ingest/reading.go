package ingest

import (
	"net"
	"os"
	"sync"
	"time"
)

// reading is a connection's side of its being read. It spares the kernel what changes nothing.
//
// A deadline is passed on only where somebody reads until then: net/http and the body's bound change it eight times
// for each request, mostly while nobody does.
//
// While a request is handled net/http reads one byte, to cancel its context when the sender hangs up. Nothing here is
// cancelled by that, so this read doesn't ask the kernel: it waits until it is ended, which net/http does by a deadline
// that has passed, once the handler has returned. What has a deadline still to come is an ordinary read.
type reading struct {
	mu      sync.Mutex
	changed sync.Cond // wanted or closed
	wanted  time.Time // deadline
	set     time.Time // that of the connection below
	active  bool      // the connection below is being read
	handled bool      // a request of it is
	closed  bool
}

// SetReadDeadline is net.Conn's. It also ends a Read that waits.
func (conn *connection) SetReadDeadline(t time.Time) error {
	r := &conn.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = t
	if r.active {
		return conn.passDeadline()
	}
	r.changed.Signal()
	return nil
}

// SetDeadline is net.Conn's.
func (conn *connection) SetDeadline(t time.Time) error {
	if err := conn.SetReadDeadline(t); err != nil {
		return err
	}
	return conn.SetWriteDeadline(t)
}

// Read is net.Conn's.
func (conn *connection) Read(p []byte) (n int, err error) {
	r := &conn.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handled && len(p) == 1 && !r.wanted.After(time.Now()) {
		return 0, r.untilEnded()
	}
	if err := conn.passDeadline(); err != nil {
		return 0, err
	}
	r.active = true
	r.mu.Unlock()
	n, err = conn.Conn.Read(p)
	r.mu.Lock()
	r.active = false
	return n, err
}

// passDeadline passes on the deadline that is wanted. The lock is held.
func (conn *connection) passDeadline() error {
	r := &conn.reading
	if r.wanted.Equal(r.set) {
		return nil
	}
	r.set = r.wanted
	return conn.Conn.SetReadDeadline(r.wanted)
}

// untilEnded waits for a deadline that has passed, or the connection's end. The lock is held.
func (r *reading) untilEnded() error {
	for {
		switch {
		case r.closed:
			return net.ErrClosed
		case !r.wanted.IsZero() && !time.Now().Before(r.wanted):
			return os.ErrDeadlineExceeded
		}
		r.changed.Wait()
	}
}

// isHandled notes whether a request of the connection is being handled.
func (r *reading) isHandled(handled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handled = handled
}

// end ends what untilEnded waits for.
func (r *reading) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.changed.Signal()
}
