package app

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestBodyBreaksOff(t *testing.T) {
	b := start(t)
	c := b.dial()
	c.write("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 100\r\n\r\n{")
	expect.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	expect.Equal(t, "400 body_incomplete", c.read("POST").String(), "the answer")
}

func TestChunked(t *testing.T) {
	b := start(t, "MAX_BODY_BYTES=4KiB")
	chunked := func(body string) string {
		text := "POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n" + flockHeader(t, body) + "\r\n\r\n"
		for len(body) > 0 {
			n := min(1000, len(body))
			text += fmt.Sprintf("%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		return text + "0\r\n\r\n"
	}
	c := b.dial()
	c.write(chunked(flockBody("a", `,"x":"`+strings.Repeat("x", 3000)+`"`)))
	expect.Equal(t, "200 stored", c.read("POST").String(), "the answer")
	c.write(chunked(flockBody("b", `,"x":"`+strings.Repeat("x", 5000)+`"`)))
	if a := c.read("POST"); a.StatusCode != http.StatusRequestEntityTooLarge || a.Close {
		t.Errorf("answered %s %s, close %v", a.Status, a.body, a.Close)
	}
	body := flockBody("c", "") // the rest was read and dropped: the connection stays open
	c.write(request("flock", body, flockHeader(t, body)))
	expect.Equal(t, "200 stored", c.read("POST").String(), "the answer")
}

// A sender that reads only after it has sent everything receives its 413.
func TestAnswerToLargeBodyIsReadable(t *testing.T) {
	b := start(t)
	c := b.dial()
	body := strings.Repeat("x", 8<<20)
	c.write(request("flock", body))
	if a := c.read("POST"); a.StatusCode != http.StatusRequestEntityTooLarge || a.Close {
		t.Errorf("answered %s %s, close %v", a.Status, a.body, a.Close)
	}
	c.write(request("flock", "{}"))
	expect.Equal(t, "401 signature", c.read("POST").String(), "the answer afterwards")
	// A sender that never stops is cut off.
	endless := b.dial()
	endless.write("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 1000000000\r\n\r\n")
	go func() {
		for {
			if _, err := endless.Write([]byte(body)); err != nil {
				return
			}
		}
	}()
	if a := endless.read("POST"); a.StatusCode != http.StatusRequestEntityTooLarge || !a.Close {
		t.Errorf("answered %s %s, close %v", a.Status, a.body, a.Close)
	}
}

// A sender with Expect: 100-continue gets its answer without sending the body.
func TestExpectContinue(t *testing.T) {
	b := start(t)
	c := b.dial()
	c.write("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n")
	expect.Equal(t, "413 body_too_large", c.read("POST").String(), "the answer")
	c = b.dial()
	body := flockBody("a", "")
	c.write(fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nExpect: 100-continue\r\nContent-Length: %d\r\n%s\r\n\r\n", len(body), flockHeader(t, body)))
	if line, err := c.reader.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("got %q, %v", line, err)
	}
	expect.NoError(t, expect.Err(c.reader.ReadString('\n')))
	c.write(body)
	expect.Equal(t, "200 stored", c.read("POST").String(), "the answer")
}

// Once the body has been read, hanging up changes nothing.
func TestHangUp(t *testing.T) {
	b := start(t)
	// A reset may overtake a request that the server hasn't read yet; that request was never received.
	// Every delivery that was answered or logged as accepted must be stored.
	n := 0
	hangUp := func() {
		n++
		body := flockBody(fmt.Sprint(n), "")
		c := b.dial()
		c.write(request("flock", body, flockHeader(t, body)))
		_ = c.Conn.(*net.TCPConn).SetLinger(0) // a reset, not an orderly end
		_ = c.Close()
	}
	for range 20 {
		hangUp()
	}
	b.await("done with all deliveries, at least one of them accepted", func() bool {
		if !strings.Contains(b.log.String(), `"delivery accepted"`) {
			hangUp()
			return false
		}
		return b.handler.InFlightBytes() == 0
	})
	b.await("storing all accepted deliveries", func() bool {
		return b.stored() == uint64(strings.Count(b.log.String(), `"delivery accepted"`))
	})
	if strings.Contains(b.log.String(), "context canceled") {
		t.Errorf("a delivery was cancelled:\n%s", b.log)
	}
}

// Pipelined requests are answered in their order.
func TestPipelining(t *testing.T) {
	b := start(t)
	c := b.dial()
	text, want := "", []int{200, 401, 404, 200}
	for i, endpoint := range []string{"flock", "flock", "nobody", "flock"} {
		body := flockBody(fmt.Sprint(i), "")
		header := flockHeader(t, body)
		if want[i] == 401 {
			header = "X-Nothing: 1"
		}
		text += request(endpoint, body, header)
	}
	c.write(text)
	for i, status := range want {
		if a := c.read("POST"); a.StatusCode != status {
			t.Errorf("request %d: %s, want %d", i, a.Status, status)
		}
	}
}
