package ingest

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// A request that arrives byte by byte is read to its end, whatever its framing, and no byte more.
func TestByteByByte(t *testing.T) {
	t.Parallel()
	c := limited(t, 4).dial()
	for i := range 3 {
		body, header := signedBody(fmt.Sprint(i), "")
		head := "POST /webhooks/flock HTTP/1.1\r\nHost: x\r\n" + header + "\r\n"
		c.write(fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, len(body)))
		for b := range strings.SplitSeq(body, "") {
			c.write(b)
		}
		expect.Equal(t, "200", c.read().String(), "with a length")
		for b := range strings.SplitSeq(head+"Transfer-Encoding: chunked\r\n\r\n", "") {
			c.write(b)
		}
		for b := range strings.SplitSeq(body, "") {
			c.write("1\r\n" + b + "\r\n")
		}
		expect.Equal(t, "200", c.write("0\r\n\r\n").read().String(), "in chunks")
	}
}

// working returns a connection on which a delivery is being published, until block is closed.
func working(t *testing.T) (p *public, c *client, block chan struct{}) {
	t.Helper()
	p, block = limited(t, 4), make(chan struct{})
	p.sink.block.Store(&block)
	c = p.dial().write(deliveryOf("first", ""))
	poll.Until(p.t, "working", func() bool { return p.Conns.closable() < p.open() })
	return p, c, block
}

// Bytes that arrive while a request is handled belong to the next one.
func TestNextRequestArrivesEarly(t *testing.T) {
	t.Parallel()
	p, c, block := working(t)
	second := deliveryOf("second", "")
	c.write(second[:1]).write(second[1:] + deliveryOf("third", ""))
	p.sink.block.Store(nil)
	close(block)
	for range 3 {
		expect.Equal(t, "200", c.read().String(), "the answer")
	}
}

// A server that closes also closes a connection whose request is being handled.
func TestServerCloses(t *testing.T) {
	t.Parallel()
	p, c, block := working(t)
	if err := p.server.Close(); err != nil {
		t.Error(err)
	}
	if !c.isClosed() {
		t.Error("the connection is open")
	}
	close(block)
}

// The head of a request is counted from its first byte, even if that comes with the end of another
// request of any framing.
func TestHeadBounds(t *testing.T) {
	const head = "POST /webhooks/flock HTTP/1.1\r\nHost: x\r\n"
	body, signature := signedBody("a", "")
	length := fmt.Sprintf("%s%s\r\nContent-Length: %d\r\n\r\n%s", head, signature, len(body), body)
	chunked := fmt.Sprintf("%s%s\r\nTransfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nX: y\r\n\r\n", head, signature, len(body), body)
	none := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	lines := func(n int) string { return strings.Repeat("a:\r\n", n) }
	for _, before := range []struct {
		name, request string
		status        int
	}{{"first", "", 0}, {"after a body with a length", length, 200}, {"after chunks", chunked, 200}, {"after no body", none, 404}} {
		for _, test := range []struct {
			name, text, want string
		}{
			{"100 headers", head + lines(97) + "Content-Length: 2\r\nb:\r\n\r\n{}", "401 signature"},
			{"101 headers", head + lines(98) + "Content-Length: 2\r\nb:\r\n\r\n{}", "431 plain"},
			{"headers without end", head + lines(4000), "431 plain"},
			{"a line of 9 KB", head + "a: " + strings.Repeat("x", 9<<10), "431 plain"},
			{"8 KB", head + "a: " + strings.Repeat("x", maxHeadBytes-len(head)-31) + "\r\nContent-Length: 000002\r\n\r\n{}", "401 signature"},
			{"trailers without end", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + lines(4000), "400 body_incomplete"},
		} {
			t.Run(before.name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				p := newPublic(t, nil).listen()
				c := p.dial()
				go func() { _, _ = c.Write([]byte(before.request + test.text)) }() // it may be refused before all is sent
				if before.request != "" {
					if r := c.read(); r.status != before.status {
						t.Fatalf("the request before: %s", r)
					}
				}
				expect.Equal(t, test.want, c.read().String(), "the answer")
				_ = c.Close()
				poll.Until(p.t, "giving all back", func() bool { return p.InFlightBytes() == 0 && p.open() == 0 })
			})
		}
	}
}

// net/http ends a trailer at a bare line feed only once it has seen an end with carriage returns, perhaps
// in a later request. A head after such a trailer is bounded all the same.
func TestHeadAfterBareLineFeed(t *testing.T) {
	c := newPublic(t, nil).listen().dial()
	const head = "POST /webhooks/flock HTTP/1.1\nHost: x\n"
	body := strings.Repeat("x", 3000) + "\r\n\r\n"
	first := head + "Transfer-Encoding: chunked\n\n0\r\nX: y\n\n"
	second := fmt.Sprintf("%sContent-Length: %d\n\n%s", head, len(body), body)
	third := head + strings.Repeat("a:\n", 900) + "Content-Length: 2\n\n{}"
	for _, text := range []string{first + second, "", third} { // the third comes after the answer to the second
		go func() { _, _ = c.Write([]byte(text)) }() // it may be refused before all is sent
		if r, err := c.tryRead(); err != nil || r.closes {
			return
		}
	}
	t.Error("a head of 900 headers was taken")
}

// A head with two framings is recognised in pieces of any size, and doesn't affect the next head.
func TestTwoFramings(t *testing.T) {
	const line, length, chunked = "POST / HTTP/1.1\r\n", "content-LENGTH: 5\r\n", "Transfer-Encoding: chunked\r\n"
	var f framing
	for _, test := range []struct {
		head   string
		length int64
		want   bool
	}{
		{line + length + chunked, -1, false},
		{line + chunked, -1, true},
		{line + chunked + "X: y\r\n" + length, -1, false},
		{line, 0, true},
		{line + chunked + "\r\n0\r\n" + length, -1, true}, // in the trailer
		{line + chunked, -1, true},
		{line + chunked, 0, false}, // net/http has ignored it
		{line + chunked + "Content-Lengths: 5\r\nX-Content-Length: 5\r\nContent-Length 5\r\n", -1, true},
		{line + "X: y\r\n Content-Length: 5\r\n", 0, false},
		{line, 0, true},
		{line + "X: y\nX: y\r\n", 0, false},
		{line + length, 0, true},
	} {
		head, rest, _ := strings.Cut(test.head+"\r\n", "\r\n\r\n")
		for b := range strings.SplitSeq(head+"\r\n\r\n", "") {
			_, _ = f.advance([]byte(b))
		}
		expect.Equal(t, test.want, f.begin(test.length), "whether the length is clear after %q", head)
		if test.length < 0 {
			if rest == "" {
				rest = "0\r\n\r\n"
			}
			for b := range strings.SplitSeq(rest, "") {
				_, _ = f.advance([]byte(b))
			}
		}
		expect.Equal(t, partHead, f.part, "the next part")
	}
}

// If some of a body was taken for a head, the connection ends.
func TestMistakenFraming(t *testing.T) {
	var f framing
	for _, text := range []string{"POST / HTTP/1.1\r\n\r\n", "{"} {
		_, _ = f.advance([]byte(text))
	}
	f.begin(2)
	if n, refusal := f.advance([]byte("}")); n != 0 || refusal != "" {
		t.Errorf("%d bytes are passed on, %s", n, refusal)
	}
}

// A connection that closes before its request is handled isn't counted as an internal error.
func TestClosedBeforeItIsHandled(t *testing.T) {
	var seen []string
	p := newPublic(t, func(c *Config) { c.Observe = func(r *Record) { seen = append(seen, r.Outcome) } })
	p.handle(httptest.NewRequest(http.MethodPost, "/webhooks/flock", iotest.ErrReader(net.ErrClosed)))
	expect.Equal(t, []string{"body_incomplete"}, seen, "the outcome")
}
