package ingest

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection of a bounded listener. It gives net/http one request at a time, and bounds each
// head while it arrives. It refuses other protocols than HTTP/1.1, and reports what net/http refuses
// (connrefusal.go).
type conn struct {
	net.Conn             // carries the requests; with TLS, the decrypted side of raw
	raw       *deadlines // the TCP connection
	handshake *handshake // nil without TLS, and once it is done
	limiter   *ConnLimiter
	entry     entry // its place in the limiter

	held     hold        // the current request's share of the budget
	refused  atomic.Bool // by refuse
	reported atomic.Bool // a refusal by net/http was reported

	mu       sync.Mutex
	prelude  prelude
	framing  framing
	headBy   time.Time    // deadline of the head that is arriving
	kept     bytes.Buffer // bytes that have arrived, and that net/http doesn't get yet
	more     bool         // the last read filled its buffer
	handling bool         // the handler has a request, or its answer is being sent
	declined bool         // net/http's reading ahead has returned 0 bytes
}

func newConn(inner net.Conn, l *ConnLimiter) *conn {
	raw := &deadlines{Conn: inner}
	interrupt := func() { _ = raw.SetReadDeadline(time.Unix(1, 0)) }
	return &conn{Conn: raw, raw: raw, limiter: l, held: hold{budget: l.budget, interrupt: interrupt}}
}

func (c *conn) Read(p []byte) (int, error) {
	if c.refused.Load() {
		return 0, io.EOF
	}
	if err := c.establish(p); err != nil {
		return 0, err
	}
	n, wasKept, err := c.receive(p)
	if n == 0 {
		return 0, c.failed(err, p)
	}
	n, refusal := c.take(p, n, wasKept)
	if refusal != "" {
		return 0, c.refuse(c.Conn, refusal, p)
	}
	return n, nil
}

// receive reads into p: from kept, or from the connection if kept is empty.
//
// While a request is handled, net/http reads ahead once (connReader.backgroundRead, Go 1.26), to cancel
// the request if its sender hangs up. Here that cancels nothing, and waiting for it would cost 5 % of an
// event (ADR 13). So that read returns 0 bytes, as io.Reader allows, and the next request waits for the
// answer to this one.
func (c *conn) receive(p []byte) (n int, wasKept bool, err error) {
	c.mu.Lock()
	isAhead := c.handling && !c.declined && c.framing.part == partHead
	isBroken := c.framing.part == partBroken
	c.declined = c.declined || isAhead
	n = copy(p, c.kept.Bytes())
	inHead, headBy := c.framing.inHead(), c.headBy
	c.mu.Unlock()
	switch {
	case isAhead:
		return 0, false, nil
	case isBroken:
		return 0, false, io.EOF
	case n > 0:
		return n, true, nil
	case inHead: // net/http's own timeout begins with the fourth byte; until then the connection is idle to it
		c.raw.readBy(headBy)
	}
	n, err = c.Conn.Read(p)
	return n, false, err
}

// take returns how many of the received bytes net/http gets now: none beyond the current request. It
// keeps the rest. It charges the bytes of a head to the budget.
func (c *conn) take(p []byte, received int, wasKept bool) (n int, refusal ConnRefusal) {
	b := p[:received]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.more = received == len(p)
	isHead := c.framing.part == partHead
	if refusal = c.prelude.recognize(b); refusal == "" {
		n, refusal = c.framing.advance(b)
	}
	if wasKept {
		c.kept.Next(n)
	} else {
		c.kept.Write(b[n:])
	}
	if !isHead || refusal != "" {
		return n, refusal
	}
	isComing := c.framing.inHead()
	if !c.held.take(n, isComing) {
		refusal = HeadBusy
	}
	if isComing && c.framing.bytes == n {
		c.headBy = time.Now().Add(headTimeout)
	}
	return n, refusal
}

// Write sends an answer. If the handler has no request, net/http itself refuses one, and Write reports it.
func (c *conn) Write(p []byte) (int, error) {
	if c.refused.Load() {
		return len(p), nil
	}
	const status = len("HTTP/1.x ") // the answer to HTTP/1.0 is in HTTP/1.0
	if !c.isHandling() && bytes.HasPrefix(p, []byte("HTTP/1.")) && len(p) > status+3 && !c.reported.Swap(true) {
		c.report(cmp.Or(ownAnswers[string(p[status:status+3])], Malformed), string(p))
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	c.framing.part = partBroken // later bytes aren't charged
	c.mu.Unlock()
	c.held.release()
	c.limiter.leave(c)
	return err
}

// begin notes that the handler has a request. If a proxy in front may find another end of the request,
// or a tunnel behind it (CONNECT), the answer closes the connection. Otherwise a sender could hide a
// second request there, and the proxy would take its answer for that to another sender's request.
func (c *conn) begin(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handling, c.declined = true, false
	if !c.framing.begin(r.ContentLength) || r.Method == http.MethodConnect {
		w.Header().Set("Connection", "close")
	}
}

// end notes that the answer has been sent. It yields if the next request may have arrived already. A
// connection that never waits would keep a core for the scheduler's time slice of 10 ms, and hundreds of
// them delayed a good delivery by seconds (ADR 12).
func (c *conn) end() {
	c.setIdle()
	c.mu.Lock()
	c.handling = false
	more := c.more || c.kept.Len() > 0
	c.mu.Unlock()
	if more {
		runtime.Gosched()
	}
}

// isHandling reports whether the handler has a request, or its answer is being sent.
func (c *conn) isHandling() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handling
}
