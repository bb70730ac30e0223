package ingest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// While a request is handled one read of net/http's doesn't reach the connection: by its length it must never be taken for
// one of a body that comes byte by byte, nor take anything from the next request.
func TestByteByByte(t *testing.T) {
	t.Parallel()
	c := crowded(t, 4).dial()
	for i := range 3 {
		body, header := signedBody(fmt.Sprint(i), "")
		head := "POST /webhooks/flock HTTP/1.1\r\nHost: x\r\n" + header + "\r\n"
		c.write(fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, len(body)))
		for b := range strings.SplitSeq(body, "") {
			c.write(b)
		}
		if r := c.read(); r.status != 200 {
			t.Errorf("with a length: %s", r)
		}
		for b := range strings.SplitSeq(head+"Transfer-Encoding: chunked\r\n\r\n", "") {
			c.write(b)
		}
		for b := range strings.SplitSeq(body, "") {
			c.write("1\r\n" + b + "\r\n")
		}
		if r := c.write("0\r\n\r\n").read(); r.status != 200 {
			t.Errorf("in chunks: %s", r)
		}
	}
}

// working returns a connection whose first delivery is published once block is closed.
func working(t *testing.T) (p *public, c *client, block chan struct{}) {
	t.Helper()
	p, block = crowded(t, 4), make(chan struct{})
	p.kept.block.Store(&block)
	c = p.dial().write(deliveryOf("first", ""))
	p.await("working", func() bool { return p.crowd.resting() < p.open() })
	return p, c, block
}

// What comes while a request is handled is the next one.
func TestNextComesMeanwhile(t *testing.T) {
	t.Parallel()
	p, c, block := working(t)
	second := deliveryOf("second", "")
	c.write(second[:1]).write(second[1:] + deliveryOf("third", ""))
	p.kept.block.Store(nil)
	close(block)
	for range 3 {
		if r := c.read(); r.status != 200 {
			t.Error(r)
		}
	}
}

// The server's end ends a connection whose request is being handled.
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

// Others have their turn where the next request may lie there already: unless the last read that brought something took
// all there was.
func TestWhoWaits(t *testing.T) {
	t.Parallel()
	sender, receiver := net.Pipe()
	conn := newCrowd(1).admit(receiver)
	for _, test := range []struct {
		name  string
		sent  int
		room  int
		ended bool // by a deadline, afterwards
		waits bool
	}{
		{"nothing read", 0, 0, false, false},
		{"all read", 10, 20, false, true},
		{"all read, then ended", 10, 20, true, true},
		{"room full", 10, 10, false, false},
		{"room full, then ended", 10, 10, true, false},
		{"only ended", 0, 0, true, false},
	} {
		if test.sent > 0 {
			go func() { _, _ = sender.Write(make([]byte, test.sent)) }()
			if n, err := conn.Read(make([]byte, test.room)); n != test.sent || err != nil {
				t.Fatalf("%s: %d, %v", test.name, n, err)
			}
		}
		conn.reading.begins()
		if test.ended {
			_ = conn.SetReadDeadline(time.Unix(1, 0))
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", test.name, err)
			}
			_ = conn.SetReadDeadline(time.Time{})
		} else if n, err := conn.Read(make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("%s: net/http's read: %d, %v", test.name, n, err)
		}
		if waits := conn.reading.ends(); waits != test.waits {
			t.Errorf("%s: waits %t", test.name, waits)
		}
	}
}
