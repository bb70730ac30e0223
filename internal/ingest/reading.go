package ingest

import (
	"sync"
	"time"
)

// reading is a connection's side of its being read. It spares the kernel what changes nothing.
//
// A deadline is passed on only where somebody reads until then: net/http and the body's bound change it eight times
// for each request, mostly while nobody does. One that is hardly later than the one that is set isn't passed on at all: with a
// request every millisecond that is one of a hundred.
//
// While a request is handled net/http reads one byte, without a deadline, to cancel its context when the sender hangs up.
// Nothing here is cancelled by that, so this read doesn't ask the kernel: it returns with nothing, as io.Reader
// allows, and its goroutine is done rather than waiting to be ended. Where net/http is about to end it already, where
// there is no body, and under TLS it is an ordinary read.
type reading struct {
	mu      sync.Mutex
	wanted  time.Time // deadline
	set     time.Time // that of the connection below
	active  bool      // the connection below is being read
	emptied bool      // by the last read that brought anything, since which no request has ended: the next one will wait
	handled bool      // a request of it is
}

// SetReadDeadline is net.Conn's.
func (conn *connection) SetReadDeadline(t time.Time) error {
	r := &conn.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = t
	if r.active {
		return conn.passDeadline()
	}
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
	if r.handled && len(p) == 1 && r.wanted.IsZero() {
		return 0, nil
	}
	if err := conn.passDeadline(); err != nil {
		return 0, err
	}
	r.active = true
	r.mu.Unlock()
	n, err = conn.Conn.Read(p)
	r.mu.Lock()
	r.active = false
	if err == nil {
		r.emptied = n < len(p)
	}
	return n, err
}

// passDeadline passes on the deadline that is wanted. The lock is held.
func (conn *connection) passDeadline() error {
	r := &conn.reading
	if isHardlyLater(r.wanted, r.set) {
		return nil
	}
	r.set = r.wanted
	return conn.Conn.SetReadDeadline(r.wanted)
}

// soonEnough is by how much a deadline may be too early: none is shorter than five seconds.
const soonEnough = 100 * time.Millisecond

// isHardlyLater says whether the deadline that is set will do instead of the one that is wanted. No deadline, the zero
// time, only does for itself.
func isHardlyLater(wanted, set time.Time) bool {
	if wanted.IsZero() || set.IsZero() {
		return wanted.Equal(set)
	}
	later := wanted.Sub(set)
	return 0 <= later && later < soonEnough
}

// begins notes that a request of the connection is being handled.
func (r *reading) begins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handled = true
}

// ends notes that none is any more, and says whether the next one is still to come.
func (r *reading) ends() (waits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waits = r.emptied
	r.handled, r.emptied = false, false
	return waits
}
