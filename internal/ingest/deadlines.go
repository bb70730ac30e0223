package ingest

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// tlsWrite is the time for a write without a deadline: TLS writes by itself in its handshake, and on an
	// idle connection when the client asks for a new key (RFC 8446, section 4.6.3).
	tlsWrite = 10 * time.Second
	// minWrite is the least time for any other write. If the process stands still after it has set a
	// deadline, the answer is still sent: mostly the socket takes it at once.
	minWrite = 250 * time.Millisecond
)

// deadlines is a connection that passes a deadline on to Conn only with a read or a write, and a read
// deadline only if it is earlier than the last one. For each request net/http and the handler change the
// read deadline eight times, mostly between reads, and mostly to a later time (ADR 13).
type deadlines struct {
	net.Conn

	mu                    sync.Mutex
	read, write           time.Time // as they were set
	innerRead, innerWrite time.Time // as Conn has them
	reading               bool      // Conn is being read
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read = t
	if d.reading {
		return d.passRead()
	}
	return nil
}

// readBy sets the read deadline, unless there is an earlier one.
func (d *deadlines) readBy(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.read.IsZero() || t.Before(d.read) {
		d.read = t
	}
}

// passRead passes on the read deadline, unless Conn has an earlier one. d.mu must be held.
func (d *deadlines) passRead() error {
	if d.read.IsZero() || !d.innerRead.IsZero() && !d.read.Before(d.innerRead) {
		return nil
	}
	d.innerRead = d.read
	return d.Conn.SetReadDeadline(d.read)
}

// Read repeats a read that failed at a deadline that was moved meanwhile. On a closed connection it returns
// the error of the read, not that of setting the deadline: net/http would answer that one with a 400.
func (d *deadlines) Read(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _ = d.passRead(); ; _ = d.Conn.SetReadDeadline(d.read) {
		d.reading = true
		d.mu.Unlock()
		n, err = d.Conn.Read(p)
		d.mu.Lock()
		d.reading = false
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if !d.read.IsZero() && !time.Now().Before(d.read) {
			return 0, err
		}
		d.innerRead = d.read
	}
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.write = t
	return nil
}

// Write always has a deadline.
func (d *deadlines) Write(p []byte) (int, error) {
	d.mu.Lock()
	at := d.write
	switch now := time.Now(); {
	case at.IsZero():
		at = now.Add(tlsWrite)
	case at.Before(now.Add(minWrite)):
		at = now.Add(minWrite)
	}
	if !at.Equal(d.innerWrite) {
		d.innerWrite = at
		_ = d.Conn.SetWriteDeadline(at) // fails only if the connection is closed, and then so does Write
	}
	d.mu.Unlock()
	return d.Conn.Write(p)
}

func (d *deadlines) SetDeadline(t time.Time) error {
	return errors.Join(d.SetReadDeadline(t), d.SetWriteDeadline(t))
}

// CloseWrite closes the sending side, if Conn can do that.
func (d *deadlines) CloseWrite() error {
	if half, ok := d.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
