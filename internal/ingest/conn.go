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

// conn is a connection of a bounded listener. It passes on one request at a time, and bounds the
// head of each while it arrives. It refuses what isn't HTTP/1.1, and reports what net/http refuses
// (connrefusal.go).
type conn struct {
	net.Conn             // carries the requests; with TLS it is the decrypted side of raw
	raw       *deadlines // the connection itself
	handshake *handshake // of TLS; nil if there is none to do
	limiter   *ConnLimiter
	entry     entry // of the limiter

	held     hold        // the bytes of the request
	refused  atomic.Bool // refused by us, and answered
	reported atomic.Bool // a refusal by net/http was reported

	mu       sync.Mutex
	prelude  prelude
	framing  framing
	headBy   time.Time    // when the head that has begun must be whole
	kept     bytes.Buffer // has arrived and belongs to the next part or request
	more     bool         // the last read filled its buffer
	handling bool         // the handler has a request, or its answer is being sent
	declined bool         // a read of the next request has returned 0 bytes
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

// receive returns the next bytes: those that were kept, or else those of the connection.
//
// While a request is handled, net/http reads ahead once (connReader.backgroundRead, Go 1.26) to notice
// a sender that hangs up, which cancels nothing here. That read returns 0 bytes, as io.Reader allows:
// waiting and waking costs 5 % of an event (ADR 13). So the next request waits for the answer to this one.
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
	case inHead: // net/http counts from the fourth byte, and waits for that as long as on an idle connection
		c.raw.readBy(headBy)
	}
	n, err = c.Conn.Read(p)
	return n, false, err
}

// take counts and charges the first bytes of p that were received, and returns how many of them
// net/http gets now: none beyond the current request. It keeps the rest.
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

// Write reports an answer while the handler has no request: it is a refusal by net/http.
func (c *conn) Write(p []byte) (int, error) {
	if c.refused.Load() {
		return len(p), nil
	}
	const status = len("HTTP/1.x ") // net/http answers HTTP/1.0 in kind
	if !c.isHandling() && bytes.HasPrefix(p, []byte("HTTP/1.")) && len(p) > status+3 && !c.reported.Swap(true) {
		c.report(cmp.Or(ownAnswers[string(p[status:status+3])], Malformed), string(p))
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	c.framing.part = partBroken // from now on nothing is charged
	c.mu.Unlock()
	c.held.release()
	c.limiter.leave(c)
	return err
}

// begin notes that the handler has a request. If a proxy in front
// may see another end of the request, or a tunnel behind it, the answer closes the connection: else what
// the sender has hidden there could be answered in place of the proxy's next request.
func (c *conn) begin(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handling, c.declined = true, false
	if !c.framing.begin(r.ContentLength) || r.Method == http.MethodConnect {
		w.Header().Set("Connection", "close")
	}
}

// end notes that the answer has been sent. It yields if the next request may be here already: a
// connection that never waits would keep a core for the scheduler's time slice of 10 ms, and behind
// hundreds of those a good delivery waited for seconds (ADR 12).
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
