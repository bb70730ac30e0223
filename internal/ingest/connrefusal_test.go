package ingest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// refusals collects the refused connections.
type refusals struct {
	mu  sync.Mutex
	all []RefusedConn
}

func (t *refusals) add(c RefusedConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, c)
}

func (t *refusals) snapshot() []RefusedConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]RefusedConn(nil), t.all...)
}

// recordRefusals returns a listener and the refusals that it reports; with TLS if config isn't nil.
func recordRefusals(t *testing.T, config *tls.Config) (*public, *refusals) {
	var seen refusals
	p := newPublic(t, func(c *Config) { c.Refused = seen.add })
	return p.listenWith(config), &seen
}

func testTLS(t *testing.T) *tls.Config {
	model := httptest.NewUnstartedServer(nil) // it has a certificate
	model.StartTLS()
	t.Cleanup(model.Close)
	return model.TLS.Clone()
}

const hello = "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"

// A connection that is refused before its request reaches the handler is reported once, by kind,
// and answered in plain text.
func TestConnRefusals(t *testing.T) {
	const line = "POST /webhooks/flock HTTP/1.1\r\n"
	const head = line + "Host: bridge\r\n"
	for _, test := range []struct {
		name, text string
		kind       ConnRefusal
		answer     string
	}{
		{"PROXY protocol 1", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" + head + "\r\n", ProxyProtocol, "400 Bad Request"},
		{"PROXY protocol 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + strings.Repeat("x", 12) + head + "\r\n", ProxyProtocol, "400 Bad Request"},
		{"TLS", hello, TLSOnPlain, "400 Bad Request"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP2, "400 Bad Request"},
		{"a long head", head + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", HeadTooLarge, "431 Request Header Fields Too Large"},
		{"many headers", head + strings.Repeat("X: y\r\n", 10<<10) + "\r\n", TooManyHeaders, "431 Request Header Fields Too Large"},
		{"no Host", line + "Content-Length: 0\r\n\r\n", Malformed, "400 Bad Request: missing required Host header"},
		{"a bad header", head + "Bad Header: x\r\n\r\n", Malformed, "400 Bad Request: invalid header name"},
		{"nonsense", "nonsense\r\n\r\n", Malformed, "400 Bad Request"},
		{"HTTP/3", "POST /webhooks/flock HTTP/3.0\r\nHost: bridge\r\n\r\n", HTTPVersion, "505 HTTP Version Not Supported: unsupported protocol version"},
		{"gzip, chunked", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Framing, "501 Not Implemented"},
		{"an expectation", head + "Expect: everything\r\nContent-Length: 2\r\n\r\n{}", Expectation, "417 Expectation Failed"},
		{"an expectation, and a long body", head + "Expect: everything\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000), Expectation, "417 Expectation Failed"},
		{"an expectation in HTTP/1.0", "POST /webhooks/flock HTTP/1.0\r\nExpect: everything\r\nContent-Length: 2\r\n\r\n{}", Expectation, "417 Expectation Failed"},
	} {
		for _, before := range []string{"", deliveryOf("before", "")} {
			if before != "" && test.kind != HeadTooLarge && test.kind != TooManyHeaders && test.kind != Malformed {
				continue // these are recognised only at the beginning of a connection
			}
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				p, seen := recordRefusals(t, nil)
				c := p.dial()
				go func() { _, _ = io.WriteString(c, before+test.text) }()
				if before != "" {
					if r := c.read(); r.status != 200 {
						t.Fatal(r)
					}
				}
				if r, err := c.tryRead(); r.code != "plain" || !r.closes {
					t.Errorf("answered %v, %v", r, err)
				}
				if !c.isClosed() {
					t.Error("it is open")
				}
				poll.Until(p.t, "reported", func() bool { return len(seen.snapshot()) > 0 })
				if got := seen.snapshot(); len(got) != 1 || got[0].Refusal != test.kind || got[0].Answer != test.answer || got[0].Remote != c.LocalAddr().String() {
					t.Errorf("reported: %+v", got)
				}
			})
		}
	}
}

// Neither a silent connection, nor one with a good request, nor one that ends between two requests
// is reported as refused.
func TestNoConnRefusal(t *testing.T) {
	p, seen := recordRefusals(t, nil)
	_ = p.dial().Close()
	c := p.dial()
	for range 2 {
		expect.Equal(t, "200", c.write(deliveryOf("a", "")).read().String(), "the answer")
		expect.Equal(t, "404 not_found", c.write("GET / HTTP/1.1\r\nHost: bridge\r\n\r\n").read().String(), "the answer")
	}
	if r := c.write("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").read(); r.status != 100 {
		t.Error(r)
	}
	expect.Equal(t, "401 signature", c.write("{}").read().String(), "the answer")
	_ = c.Close()
	poll.Until(p.t, "closed", func() bool { return p.open() == 0 })
	if got := seen.snapshot(); len(got) != 0 {
		t.Errorf("reported: %+v", got)
	}
}

// A TLS listener reports clients that can't speak TLS, and bounds the bytes of a handshake.
func TestTLSRefusals(t *testing.T) {
	p, seen := recordRefusals(t, testTLS(t))
	reported := func(kind ConnRefusal) {
		t.Helper()
		poll.Until(p.t, "reported: "+string(kind), func() bool {
			got := seen.snapshot()
			return len(got) > 0 && got[len(got)-1].Refusal == kind
		})
	}
	_ = p.dial().Close() // a probe, which isn't reported
	c := p.dial()
	if r := c.write("GET / HTTP/1.1\r\nHost: bridge\r\n\r\n").read(); r.status != 400 {
		t.Error(r)
	}
	reported(PlainOnTLS)
	if r := p.dial().write("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n").read(); r.status != 400 {
		t.Error(r)
	}
	reported(ProxyProtocol)
	c = p.dial()
	if err := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake(); err == nil {
		t.Error("HTTP/2 is accepted")
	}
	reported(TLSHandshake)
	c = p.dial() // a ClientHello of 60 KB
	record := "\x16\x03\x01\x40\x00" + "\x01\x00\xf0\x00" + strings.Repeat("x", 1<<14-4)
	go func() {
		_, _ = io.WriteString(c, record+strings.Repeat("\x16\x03\x01\x40\x00"+strings.Repeat("x", 1<<14), 2))
	}()
	poll.Until(p.t, "reported: a large handshake", func() bool { return len(seen.snapshot()) == 4 })
	if !c.isClosed() {
		t.Error("it is open")
	}
	c = p.dial()
	secured := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	_ = secured.SetDeadline(time.Now().Add(time.Minute))
	c.Conn, c.reader = secured, bufio.NewReader(secured)
	go func() {
		_, _ = io.WriteString(secured, "GET / HTTP/1.1\r\nHost: bridge\r\n"+strings.Repeat("a:\r\n", 4000))
	}()
	expect.Equal(t, "431 plain", c.read().String(), "too many headers")
	reported(TooManyHeaders)
	expect.Equal(t, 5, len(seen.snapshot()), "refusals")
}

// At most 16 KiB of a handshake are read.
func TestHandshakeBytes(t *testing.T) {
	ours, theirs := net.Pipe()
	h := &handshake{Conn: theirs, left: maxHandshake}
	go func() {
		_, _ = ours.Write(make([]byte, maxHandshake+1))
		_ = ours.Close()
	}()
	if n, err := io.Copy(io.Discard, h); err == nil || n > maxHandshake {
		t.Errorf("%d bytes were read, %v", n, err)
	}
	_ = theirs.Close()
}

// unread is a client's connection from which nothing is read.
type unread struct{ net.Conn }

func (unread) Read([]byte) (int, error) { return 0, io.EOF }

// A client that doesn't read its part of the handshake is disconnected.
func TestHandshakeWrite(t *testing.T) {
	config := testTLS(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPublic(t, nil)
		l := pipes{make(chan net.Conn, 1), make(chan struct{})}
		ours, theirs := net.Pipe()
		l.conns <- theirs
		c, err := p.Conns.Listen(p.server, l, config).Accept()
		expect.NoError(t, err)
		go func() { _ = tls.Client(unread{ours}, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
		began := time.Now()
		_, err = c.Read(make([]byte, 1))
		expect.ErrorIs(t, io.EOF, err, "the refusal")
		expect.Equal(t, tlsWrite, time.Since(began), "it took")
		_ = c.Close()
	})
}
