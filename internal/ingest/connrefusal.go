package ingest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// ConnRefusal is why a connection was refused before its request reached the handler.
type ConnRefusal string

// The refusals.
const (
	ProxyProtocol  ConnRefusal = "proxy_protocol"
	TLSOnPlain     ConnRefusal = "tls_on_plain_port"
	PlainOnTLS     ConnRefusal = "plain_on_tls_port"
	TLSHandshake   ConnRefusal = "tls_handshake"
	HTTP2          ConnRefusal = "http2_prior_knowledge"
	HeadTooLarge   ConnRefusal = "head_too_large"
	TooManyHeaders ConnRefusal = "too_many_headers"
	HeadTimeout    ConnRefusal = "head_timeout"
	HeadBusy       ConnRefusal = "busy"
	Malformed      ConnRefusal = "malformed"
	HTTPVersion    ConnRefusal = "http_version"
	Framing        ConnRefusal = "transfer_encoding"
	Expectation    ConnRefusal = "expectation"
)

// ConnRefusals maps every [ConnRefusal] to advice for the operator.
var ConnRefusals = map[ConnRefusal]string{
	ProxyProtocol:  "the proxy in front speaks the PROXY protocol: switch it off there, the bridge takes plain HTTP/1.1",
	TLSOnPlain:     "the sender speaks TLS to a plain port: have the proxy speak http to the bridge, or set TLS_CERT_FILE and TLS_KEY_FILE",
	PlainOnTLS:     "the sender speaks plain HTTP to the TLS port: have it use https, or unset TLS_CERT_FILE and TLS_KEY_FILE",
	TLSHandshake:   "the TLS handshake failed: perhaps the sender doesn't trust the certificate, or speaks only TLS 1.1 or only HTTP/2",
	HTTP2:          "the proxy in front speaks HTTP/2: have it speak HTTP/1.1 to the bridge",
	HeadTooLarge:   "the headers are larger than 8 KiB: have the proxy in front add less; often cookies are the cause",
	TooManyHeaders: "there are more than 100 headers: have the proxy in front add fewer",
	HeadTimeout:    "the headers did not arrive within 5 s: the sender is slow, or an attacker",
	HeadBusy:       "too many bytes are in flight: add instances, or add memory and raise MAX_IN_FLIGHT_BYTES",
	Malformed:      "the request breaks RFC 9112, or has no Host header: the answer may say more",
	HTTPVersion:    "the request is neither HTTP/1.0 nor HTTP/1.1: have the proxy in front speak HTTP/1.1",
	Framing:        "the bridge takes no transfer encoding but chunked: have the proxy in front send that, or a Content-Length",
	Expectation:    "the bridge takes no expectation but 100-continue: have the proxy in front remove the header Expect",
}

// Remedy returns advice for the operator.
func (r ConnRefusal) Remedy() string { return ConnRefusals[r] }

// RefusedConn is a refused connection. The sender chooses nothing in it, except Remote.
type RefusedConn struct {
	Refusal ConnRefusal
	Remote  string // the sender's address
	Answer  string // the status line; "": no answer
}

// preludes are the first bytes of other protocols: TLS (RFC 8446, section 5.1), HTTP/2 (RFC 9113,
// section 3.4) and PROXY (haproxy's proxy-protocol.txt, sections 2.1 and 2.2).
var preludes = []struct {
	bytes   []byte
	refusal ConnRefusal
}{
	{[]byte("\x16\x03"), TLSOnPlain},
	{[]byte("PRI * HTTP/2.0\r\n"), HTTP2},
	{[]byte("PROXY "), ProxyProtocol},
	{[]byte("\r\n\r\n\x00\r\nQUIT\n"), ProxyProtocol},
}

// prelude collects the first bytes of a connection, which may arrive one by one.
type prelude struct {
	first [len("PRI * HTTP/2.0\r\n")]byte // has room for the longest of preludes
	len   int
}

// recognize adds the next bytes of a connection, and returns the refusal if its first bytes are those of
// another protocol; "" if they may be HTTP/1.1.
func (p *prelude) recognize(b []byte) ConnRefusal {
	if p.len == len(p.first) {
		return ""
	}
	p.len += copy(p.first[p.len:], b)
	for _, other := range preludes {
		if bytes.HasPrefix(p.first[:p.len], other.bytes) {
			return other.refusal
		}
	}
	return ""
}

// plainOnTLS returns the refusal for first bytes on a TLS port that aren't TLS; "" if their protocol is
// unknown.
func plainOnTLS(first []byte) ConnRefusal {
	for _, p := range preludes {
		if bytes.HasPrefix(p.bytes, first) {
			return p.refusal
		}
	}
	if bytes.ContainsFunc(first, func(r rune) bool { return (r < 'A' || r > 'Z') && r != ' ' && r != '/' }) {
		return ""
	}
	return PlainOnTLS // the bytes begin a request: they are a method
}

// ownAnswers maps the statuses of net/http's own answers to refusals. Any other status is Malformed.
var ownAnswers = map[string]ConnRefusal{"417": Expectation, "431": HeadTooLarge, "501": Framing, "505": HTTPVersion}

// answer returns the answer to a refused connection. It is plain text like net/http's own answers, and for
// HeadBusy a problem like the handler's. It is "" if the sender couldn't read one.
func (r ConnRefusal) answer() string {
	status, kind, text := "400 Bad Request", "text/plain; charset=utf-8", r.Remedy()+"\n"
	switch r {
	case HeadTooLarge, TooManyHeaders:
		status = "431 Request Header Fields Too Large"
	case HeadBusy:
		status = "503 Service Unavailable\r\nRetry-After: " + retryAfter
		kind, text = typeProblem[0], string(appendProblem(nil, refusalOf(errBusy)))
	case HeadTimeout, TLSHandshake:
		return ""
	}
	return "HTTP/1.1 " + status + "\r\nContent-Type: " + kind + "\r\nConnection: close\r\n\r\n" + text
}

// failed handles a failed read: it refuses the connection if part of a head has arrived, and returns
// the error for Read. p is a buffer for refuse.
func (c *conn) failed(err error, p []byte) error {
	c.mu.Lock()
	isComing := c.framing.inHead() && !c.handling
	c.mu.Unlock()
	switch {
	case err == nil || !isComing:
	case !c.held.take(0, false): // the head has had to make room
		return c.refuse(c.Conn, HeadBusy, p)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.refuse(c.Conn, HeadTimeout, p)
	}
	return err
}

const (
	// refusedTime and refusedBytes bound how long and how much is still read from a refused
	// connection. Many senders read the answer only after they have sent everything, and closing
	// with unread bytes would lose the answer (RFC 9112, section 9.6).
	refusedTime  = 500 * time.Millisecond
	refusedBytes = 64 << 10
)

// refuse answers a refused connection and ends it. side is its decrypted or its raw side, and p is a
// buffer for the bytes that still arrive. refuse returns the error for Read.
func (c *conn) refuse(side net.Conn, r ConnRefusal, p []byte) error {
	if c.isHandling() || c.refused.Swap(true) {
		return io.ErrUnexpectedEOF // and the handler answers
	}
	c.held.release()
	_ = side.SetDeadline(time.Now().Add(refusedTime))
	if !c.reported.Load() { // else net/http has answered, and this is the rest of that request
		answer := r.answer()
		c.report(r, answer)
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

// report reports a refused connection, with the answer's status line.
func (c *conn) report(r ConnRefusal, answer string) {
	if c.limiter.report != nil {
		line, _, _ := strings.Cut(answer, "\r\n")
		_, status, _ := strings.Cut(line, " ")
		c.limiter.report(RefusedConn{r, c.raw.RemoteAddr().String(), status})
	}
}
