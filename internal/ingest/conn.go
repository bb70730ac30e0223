package ingest

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection of a bounded listener. It passes on one request at a time, and bounds the
// head of each while it arrives. It refuses what isn't HTTP/1.1, and reports what net/http refuses.
type conn struct {
	net.Conn // carries the requests; with TLS it is the decrypted side
	limiter  *ConnLimiter
	raw      net.Conn   // the connection itself
	tls      *handshake // nil without TLS

	entry entry // of the limiter

	refused  atomic.Bool // refused by us, and answered
	reported atomic.Bool // a refusal by net/http was reported
	closed   atomic.Bool
	held     hold // the bytes of the request

	mu      sync.Mutex
	framing framing
	first   [longestPrelude]byte
	seen    int    // how many of first have arrived
	kept    []byte // has arrived and belongs to the next part or request
	buffer  []byte // kept is part of it
	more    bool   // the last read filled its buffer

	handling bool      // the handler has a request, or its answer is being sent
	declined bool      // a read of the next request has returned 0 bytes
	reading  bool      // the connection below is being read
	changed  sync.Cond // of handling and readDeadline

	readDeadline, writeDeadline time.Time
	innerRead, innerWrite       time.Time // the deadlines of the connection below
}

func newConn(raw net.Conn, l *ConnLimiter) *conn {
	c := &conn{Conn: raw, raw: raw, limiter: l}
	c.held.budget = l.budget
	c.changed.L = &c.mu
	return c
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.refused.Load() || len(p) == 0 {
		return 0, io.EOF
	}
	n, wasKept, err := c.receive(p)
	switch {
	case n == 0 && err == nil:
		return 0, nil
	case n == 0:
		return 0, c.failed(p, err)
	}
	n, refusal := c.take(p[:n], wasKept)
	if refusal != "" {
		return 0, c.refuse(c.Conn, refusal, p)
	}
	return n, nil
}

// receive returns the next bytes: those that were kept, or else those of the connection.
func (c *conn) receive(p []byte) (n int, wasKept bool, err error) {
	c.mu.Lock()
	// The next request waits for the answer to this one. net/http reads ahead to notice a sender
	// that hangs up, which cancels nothing here. That read returns 0 bytes once, as io.Reader
	// allows: waiting and waking costs 5 % of an event.
	for c.handling && c.framing.part == partHead && c.readDeadline.IsZero() && !c.closed.Load() {
		if !c.declined {
			c.declined = true
			c.mu.Unlock()
			return 0, false, nil
		}
		c.changed.Wait()
	}
	part, left := c.framing.part, c.framing.left
	switch {
	case part == partBroken:
		c.mu.Unlock()
		return 0, false, io.EOF
	case !c.readDeadline.IsZero() && !time.Now().Before(c.readDeadline):
		c.mu.Unlock()
		return 0, false, os.ErrDeadlineExceeded
	case len(c.kept) > 0:
		n = copy(p, c.kept)
		c.mu.Unlock()
		return n, true, nil
	}
	c.reading = true
	err = c.passDeadline()
	c.mu.Unlock()
	isCut := part == partBody && left < int64(len(p)) // the next request must not be read yet
	if isCut {
		p = p[:left]
	}
	if err == nil && c.tls != nil {
		err = c.tls.establish()
	}
	for again := err == nil; again; again = n == 0 && c.isPostponed(err) {
		n, err = c.Conn.Read(p)
	}
	c.mu.Lock()
	c.reading, c.more = false, !isCut && n == len(p)
	c.mu.Unlock()
	return n, false, err
}

// SetReadDeadline implements net.Conn. The connection below gets the deadline only for a read, and only
// if it is earlier than the last: net/http and the body's bound change it eight times for each request,
// mostly between reads, and mostly to a later time (ADR 13).
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readDeadline = t
	c.changed.Broadcast()
	if c.reading {
		return c.passDeadline()
	}
	return nil
}

// passDeadline passes on the read deadline, unless the connection below has an earlier one. c.mu must
// be held.
func (c *conn) passDeadline() error {
	if c.readDeadline.IsZero() || !c.innerRead.IsZero() && !c.readDeadline.Before(c.innerRead) {
		return nil
	}
	c.innerRead = c.readDeadline
	return c.Conn.SetReadDeadline(c.readDeadline)
}

// isPostponed reports whether a read must be repeated, because it failed at a deadline that has been
// moved since. It passes on the present deadline.
func (c *conn) isPostponed(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.readDeadline.IsZero() && !time.Now().Before(c.readDeadline) {
		return false
	}
	c.innerRead = c.readDeadline
	return c.Conn.SetReadDeadline(c.readDeadline) == nil
}

// SetWriteDeadline implements net.Conn. The next Write passes the deadline on: net/http sets one for
// each request, and the answer another.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	return nil
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// isHandling reports whether the handler has a request, or its answer is being sent.
func (c *conn) isHandling() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handling
}

// isSilent reports whether no request has begun to arrive.
func (c *conn) isSilent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen == 0
}

// take counts and charges b, and returns how much of it net/http gets now: nothing beyond the
// current request. It keeps the rest.
func (c *conn) take(b []byte, wasKept bool) (int, ConnRefusal) {
	c.mu.Lock()
	refusal := ConnRefusal("")
	if c.seen < len(c.first) {
		c.seen += copy(c.first[c.seen:], b)
		refusal = recognize(c.first[:c.seen])
	}
	isHead, n := c.framing.part == partHead, 0
	if refusal == "" {
		n, refusal = c.framing.advance(b)
	}
	if refusal != "" {
		c.framing.part = partBroken
	}
	switch {
	case wasKept:
		c.kept = c.kept[n:]
	case n < len(b):
		c.buffer = append(c.buffer[:0], b[n:]...)
		c.kept = c.buffer
	}
	coming := c.framing.inHead()
	c.mu.Unlock()
	if refusal == "" && isHead && !c.charge(n, coming) {
		refusal = HeadBusy
	}
	return n, refusal
}

// charge charges n bytes of a head to the budget, and reports whether they fit. If coming is set, more
// of the head follows.
func (c *conn) charge(n int, coming bool) bool {
	fits := false
	if coming {
		fits = c.held.take(n)
		c.held.receiving(c.interrupt)
	} else {
		fits = c.held.takeLast(n)
	}
	if !fits || c.closed.Load() {
		c.held.release()
	}
	return fits
}

// interrupt makes a read return at once.
func (c *conn) interrupt() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

// failed handles a failed read: it refuses the connection if a request or a TLS handshake has begun,
// and returns the error for Read.
func (c *conn) failed(p []byte, err error) error {
	c.mu.Lock()
	coming := c.framing.inHead()
	c.mu.Unlock()
	record, _ := errors.AsType[tls.RecordHeaderError](err)
	isTimeout := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case c.isHandling():
	case c.tls != nil && record.Conn != nil && plainOnTLS(record.RecordHeader[:]) != "":
		return c.refuse(c.raw, plainOnTLS(record.RecordHeader[:]), p) // we have sent nothing yet
	case c.tls != nil && !c.tls.established && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed):
		return c.refuse(c.Conn, TLSHandshake, p)
	case coming && !c.held.takeLast(0): // the head had to make room
		return c.refuse(c.Conn, HeadBusy, p)
	case coming && isTimeout:
		return c.refuse(c.Conn, HeadTimeout, p)
	}
	return err
}

const (
	// refusedTime and refusedBytes bound how long and how much is still read from a refused
	// connection. Many senders read the answer only after they have sent everything, and closing
	// with unread bytes would lose the answer.
	refusedTime  = 500 * time.Millisecond
	refusedBytes = 64 << 10
)

// refuse answers a refused connection and ends it. side is its decrypted or its raw side, and p is a
// buffer for the bytes that still arrive. refuse returns the error for Read.
func (c *conn) refuse(side net.Conn, r ConnRefusal, p []byte) error {
	if c.isHandling() || c.refused.Swap(true) {
		return io.ErrUnexpectedEOF // the handler answers
	}
	c.held.release()
	_ = side.SetDeadline(time.Now().Add(refusedTime))
	if !c.reported.Load() { // else net/http has answered: this is the rest of that request
		answer := r.answer()
		c.limiter.refuse(c, r, answer)
		if answer == "" {
			return io.EOF
		}
		_, _ = io.WriteString(side, answer)
	}
	if half, ok := side.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	for read := 0; read < refusedBytes; {
		n, err := side.Read(p)
		if err != nil {
			break
		}
		read += n
	}
	return io.EOF
}

// Write implements net.Conn. An answer while the handler has no request is a refusal by net/http.
func (c *conn) Write(p []byte) (int, error) {
	if c.refused.Load() {
		return len(p), nil
	}
	c.mu.Lock()
	handling := c.handling
	deadline, isSet := c.writeDeadline, c.writeDeadline.Equal(c.innerWrite)
	c.innerWrite = deadline
	c.mu.Unlock()
	const status = len("HTTP/1.x ") // net/http answers HTTP/1.0 in kind
	if !handling && bytes.HasPrefix(p, []byte("HTTP/1.")) && len(p) > status+3 && !c.reported.Swap(true) {
		c.limiter.refuse(c, cmp.Or(ownAnswers[string(p[status:status+3])], Malformed), string(p))
	}
	if !isSet {
		if err := c.Conn.SetWriteDeadline(deadline); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.closed.Store(true)
	c.mu.Lock()
	c.changed.Broadcast()
	c.mu.Unlock()
	c.held.release()
	c.limiter.leave(c)
	return err
}

// begin notes that the handler has a request; the handler must release held in the end. length is that
// of the body, negative for chunks. On a nil connection, as without a [ConnLimiter], this method and
// the others that the handler calls do nothing.
func (c *conn) begin(length int64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handling, c.declined = true, false
	c.framing.begin(length)
}

// end notes that the answer has been sent. It yields if the next request may be here already: a
// connection that never waits would keep a core for the scheduler's time slice of 10 ms, and behind
// hundreds of those a good delivery waited for seconds.
func (c *conn) end() {
	c.setIdle()
	c.mu.Lock()
	c.handling = false
	c.changed.Broadcast()
	more := c.more || len(c.kept) > 0
	c.mu.Unlock()
	if more {
		runtime.Gosched()
	}
}
