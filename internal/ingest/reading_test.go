package ingest

import (
	"fmt"
	"strings"
	"testing"
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

// The server's end ends what waits to be ended.
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
