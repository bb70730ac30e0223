package ingest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// Each oddity of HTTP/1.1 has its answer. A refusal by net/http itself is plain text. Methods, paths and
// 100-continue are tested with the whole bridge.
func TestProtocol(t *testing.T) {
	body, signature := signedBody("a", "")
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
	const line = "POST /webhooks/flock HTTP/1.1\r\n"
	const head = line + "Host: bridge\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	for _, test := range []struct {
		name, request string
		want          string // plain is net/http's own text
		closes        bool
	}{
		{"as it should be", head + signature + "\r\n" + length + "\r\n" + body, "200", false},
		{"chunked", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n", "200", false},
		{"chunk extensions", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Replace(chunk, "\r\n", ";x=y\r\n", 1) + "0\r\n\r\n", "200", false},
		// A signature in the trailer could be found missing only after the whole body; no vendor
		// sends one.
		{"signature in a trailer", head + "Transfer-Encoding: chunked\r\nTrailer: X-Flock-Signature\r\n\r\n" + chunk + "0\r\n" + signature + "\r\n\r\n", "401 signature", false},
		{"trailers", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\nX: y\r\n\r\n", "200", false},
		{"trailers without end", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\nX: " + strings.Repeat("y", 64<<10) + "\r\n\r\n", "400 body_incomplete", true},
		{"chunks that are mostly extension", head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\n \r\n", 100) + "0\r\n\r\n", "400 body_incomplete", true},
		{"chunk extension of 1 KB, in one piece", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Replace(chunk, "\r\n", ";"+strings.Repeat("x", maxChunkLine)+"\r\n", 1) + "0\r\n\r\n", "400 body_incomplete", true},
		{"chunk length that isn't hexadecimal", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "400 body_incomplete", true},
		{"chunk length of 17 digits", head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}", "400 body_incomplete", true},

		// net/http closes the connection after malformed chunks: nothing behind them is a request.
		{"chunk without a length", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "\r\n\r\n" + badRequest, "400 body_incomplete", true},
		{"chunk without its line break", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.TrimSpace(chunk) + "xx0\r\n\r\n" + badRequest, "400 body_incomplete", true},
		{"chunk's line with a bare line feed", head + signature + "\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Replace(chunk, "\r", "", 1) + "0\r\n\r\n" + badRequest, "400 body_incomplete", true},

		// A proxy in front may find another end of a request with two framings. What follows it could get the
		// answer to another sender's delivery (RFC 9112, section 6.1).
		{"length and chunked", head + signature + "\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n", "200", true},
		{"chunked and length", head + "transfer-encoding: chunked\r\ncontent-length: 0\r\n" + signature + "\r\n\r\n" + chunk + "0\r\n\r\n", "200", true},
		{"length and chunked, to an unknown path", "GET / HTTP/1.1\r\nHost: bridge\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "404 not_found", true},
		{"HTTP/1.0, length and chunked", "POST /webhooks/flock HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", true},
		{"HTTP/1.0, chunked", "POST /webhooks/flock HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", "400 not_json", true},
		{"header continued on the next line", head + "X: y\r\n Content-Length: 3\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", true},
		{"header continued after a tab", "GET / HTTP/1.1\r\nHost: bridge\r\nX: y\r\n\tTransfer-Encoding: chunked\r\n\r\n", "404 not_found", true},
		{"bare line feed behind a header", head + "X: y\n" + signature + "\r\n" + length + "\r\n" + body, "200", true},
		{"bare line feed behind the head", head + signature + "\r\nContent-Length: 0\r\n\n" + badRequest, "400 not_json", true},
		{"two equal lengths", head + signature + "\r\n" + length + length + "\r\n" + body, "200", false},
		{"two lengths that differ", head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", "400 plain", true},
		{"a list of lengths", head + "Content-Length: 5, 5\r\n\r\n12345", "400 plain", true},
		{"negative length", head + "Content-Length: -1\r\n\r\n", "400 plain", true},
		{"signed length", head + "Content-Length: +5\r\n\r\n12345", "400 plain", true},
		{"a length past 63 bits", head + "Content-Length: 99999999999999999999\r\n\r\n", "400 plain", true},
		{"another transfer encoding", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 plain", true},
		{"chunked twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501 plain", true},
		{"chunked after a control character", head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400 plain", true},
		{"space before the colon", head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400 plain", true},
		{"control character in a header", head + "X: \x00\r\n\r\n", "400 plain", true},

		{"no Host", line + "Content-Length: 0\r\n\r\n", "400 plain", true},
		{"two Hosts", head + "Host: bridge\r\nContent-Length: 0\r\n\r\n", "400 plain", true},
		{"another Host", line + "Host: elsewhere\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", false}, // some proxies change it
		{"absolute target", "POST http://elsewhere/webhooks/flock HTTP/1.1\r\nHost: bridge\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", false},
		{"absolute target of another scheme", "POST ftp://user@elsewhere/webhooks/flock HTTP/1.1\r\nHost: bridge\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", false},
		{"absolute target without a path", "POST http://elsewhere HTTP/1.1\r\nHost: bridge\r\nContent-Length: 0\r\n\r\n", "404 not_found", false},
		{"authority as target", "CONNECT bridge:443 HTTP/1.1\r\nHost: bridge\r\n\r\n", "404 not_found", true}, // net/http closes it since Go 1.26.9
		{"target without a slash", "POST webhooks/flock HTTP/1.1\r\nHost: bridge\r\n\r\n", "400 plain", true},
		{"query", "POST /webhooks/flock?x=%zz HTTP/1.1\r\nHost: bridge\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", false},
		{"target of 64 KB", "POST /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: bridge\r\n\r\n", "431 plain", true},
		{"headers of 64 KB", head + strings.Repeat("X: y\r\n", 10<<10) + "\r\n", "431 plain", true},

		{"HTTP/1.0", "POST /webhooks/flock HTTP/1.0\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", true},
		{"HTTP/1.0 kept alive", "POST /webhooks/flock HTTP/1.0\r\nConnection: keep-alive\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", false},
		{"HTTP/0.9", "GET /\r\n\r\n", "400 plain", true},
		{"HTTP/3.0", "POST /webhooks/flock HTTP/3.0\r\nHost: bridge\r\n\r\n", "505 plain", true},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 plain", true},
		{"upgrade to HTTP/2", head + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n" + signature + "\r\n" + length + "\r\n" + body, "200", false},
		{"upgrade to a web socket", "GET /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "405 method_not_allowed", false},
		{"another expectation", head + "Expect: everything\r\n" + length + "\r\n" + body, "417 plain", true},
		{"empty lines first", "\r\n\r\n" + head + signature + "\r\n" + length + "\r\n" + body, "400 plain", true},
		{"TLS on a plain port", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", "400 plain", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPublic(t, nil).listen()
			c := p.dial()
			go func() { _, _ = c.Write([]byte(test.request)) }() // net/http may answer before it has read all of it
			r, err := c.tryRead()
			if err != nil && r.status == 0 {
				t.Fatal(err)
			}
			if r.String() != test.want || r.closes != test.closes {
				t.Errorf("answered %s, closes %v", r, r.closes)
			}
			if stored := p.sink.n.Load(); stored > 0 != (r.status == 200) {
				t.Errorf("%d are stored", stored)
			}
			if n := p.InFlightBytes(); n != 0 && r.status == 200 {
				poll.Until(p.t, "holding nothing", func() bool { return p.InFlightBytes() == 0 })
			}
			if test.closes {
				if !c.isClosed() {
					t.Error("it is not closed")
				}
				return
			}
			expect.Equal(t, "200", c.write(deliveryOf("next", "")).read().String(), "the next delivery on the connection")
		})
	}
}
