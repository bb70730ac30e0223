package ingest

import (
	"container/list"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

const badRequest = "POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 2\r\n\r\n{}"

// limited returns a public side that admits few connections.
func limited(t *testing.T, limit int) *public {
	p := newPublic(t, nil)
	p.Conns.max = limit
	return p.listen()
}

func (p *public) open() int {
	n, _ := p.Conns.Connections()
	return n
}

// At the limit a new connection is admitted, and an unverified one is closed: first a refused one, then the
// one that has been longest without an answer, whether it is silent or slow.
func TestUnverifiedCloseFirst(t *testing.T) {
	p := limited(t, 4)
	verified := p.dial()
	if r := verified.write(deliveryOf("verified", "")).read(); r.status != 200 {
		t.Fatal(r)
	}
	refused := p.dial()
	if r := refused.write(badRequest).read(); r.status != 401 {
		t.Fatal(r)
	}
	poll.Until(p.t, "idle", func() bool { return p.Conns.closable() == 2 })
	silent := p.dial()
	poll.Until(p.t, "admitting the silent one", func() bool { return p.open() == 3 })
	slow := p.half(1000, 10)
	poll.Until(p.t, "admitting the slow one", func() bool { return p.open() == 4 })
	for i, gone := range []*client{refused, silent, slow} {
		c := p.dial()
		if r := c.write(deliveryOf(fmt.Sprint("new", i), "")).read(); r.status != 200 {
			t.Fatalf("a new one: %s", r)
		}
		if !gone.isClosed() {
			t.Fatalf("%d: the one that should have closed is still open", i)
		}
	}
	expect.Equal(t, "200", verified.write(deliveryOf("again", "")).read().String(), "the verified one")
	if _, dropped := p.Conns.Connections(); dropped != 3 || p.open() != 4 {
		t.Errorf("%d dropped, %d open", dropped, p.open())
	}
}

// closable returns how many connections may be closed to admit others.
func (l *ConnLimiter) closable() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, group := range []*list.List{&l.refused, &l.unanswered, &l.verified} {
		for e := group.Front(); e != nil; e = e.Next() {
			if !e.Value.(*conn).entry.busy {
				n++
			}
		}
	}
	return n
}

// A new connection may finish its request, however often others are refused: a refused one keeps its place
// in the order.
func TestRefusedGoFirst(t *testing.T) {
	p := limited(t, 8)
	var refused []*client
	refuse := func(c *client) {
		if r, err := c.write("GET / HTTP/1.1\r\nHost: bridge\r\n\r\n").tryRead(); err != nil || r.status != 404 {
			t.Fatal(r, err)
		}
		refused = append(refused, c)
		poll.Until(p.t, "refused", func() bool {
			p.Conns.mu.Lock()
			defer p.Conns.mu.Unlock()
			return p.Conns.refused.Len() == min(len(refused), 8-p.Conns.unanswered.Len())
		})
	}
	for range 8 {
		refuse(p.dial())
	}
	whole := deliveryOf("good", "")
	good := p.dial().write(whole[:100])
	poll.Until(p.t, "admitting the good one", func() bool { _, dropped := p.Conns.Connections(); return dropped == 1 })
	for i := range 50 {
		refuse(p.dial())
		refuse(refused[len(refused)-1]) // once more, on the same connection
		refused = refused[:8+i]
	}
	expect.Equal(t, "200", good.write(whole[100:]).read().String(), "the good one")
}

// If all connections are verified, the one that has been idle longest is closed.
func TestLongestIdleCloses(t *testing.T) {
	p := limited(t, 2)
	first, second := p.dial(), p.dial()
	for _, c := range []*client{first, second, first} {
		if r := c.write(deliveryOf("verified", "")).read(); r.status != 200 {
			t.Fatal(r)
		}
		poll.Until(p.t, "idle", func() bool { return p.Conns.closable() == p.open() })
	}
	expect.Equal(t, "200", p.dial().write(deliveryOf("new", "")).read().String(), "a new one")
	if !second.isClosed() {
		t.Error("the longest idle one is still there")
	}
	expect.Equal(t, "200", first.write(deliveryOf("again", "")).read().String(), "the other")
}

// A delivery that is being worked on is never cut off; a new connection waits for its end.
func TestWorkIsNotCutOff(t *testing.T) {
	p := limited(t, 2)
	block := make(chan struct{})
	p.sink.block.Store(&block)
	busy := []*client{p.dial(), p.dial()}
	for i, c := range busy {
		c.write(deliveryOf(fmt.Sprint(i), ""))
	}
	poll.Until(p.t, "working on both", func() bool { return p.open() == 2 && p.Conns.closable() == 0 })
	waiting := p.dial().write(badRequest)
	if _, dropped := p.Conns.Connections(); dropped != 0 {
		t.Error("one was dropped")
	}
	p.sink.block.Store(nil)
	close(block)
	for _, c := range busy {
		expect.Equal(t, "200", c.read().String(), "one that was worked on")
	}
	expect.Equal(t, "401 signature", waiting.read().String(), "the one that waited")
}

// A listener that waits for room stops waiting when it is closed.
func TestCloseWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublic(t, nil)
		p.Conns.max = 1
		l := pipes{make(chan net.Conn, 2), make(chan struct{})}
		limited := p.Conns.Listen(p.server, l, nil)
		for range 2 {
			ours, theirs := net.Pipe()
			defer ours.Close()
			l.conns <- theirs
		}
		one, err := limited.Accept()
		expect.NoError(t, err)
		one.(*conn).setBusy()
		var another net.Conn
		go func() { another, _ = limited.Accept() }()
		synctest.Wait() // until it waits
		if another != nil {
			t.Error("there was room")
		}
		_ = limited.Close()
		synctest.Wait()
		if another == nil {
			t.Fatal("it still waits")
		}
		expect.ErrorIs(t, net.ErrClosed, expect.Err(limited.Accept()), "Accept")
		_ = another.Close()
		_ = one.Close()
		_ = one.Close() // counts once
		expect.Equal(t, 0, p.open(), "open connections")
	})
}

// With TLS, too, an unverified connection is closed first.
func TestTLS(t *testing.T) {
	p := newPublic(t, nil)
	p.Conns.max = 2
	p.listenWith(testTLS(t))
	dial := func() *client {
		c := p.dial()
		c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
		c.reader.Reset(c)
		return c
	}
	verified := dial()
	expect.Equal(t, "200", verified.write(deliveryOf("a", "")).read().String(), "the answer")
	unverified := dial()
	expect.Equal(t, "401 signature", unverified.write(badRequest).read().String(), "the answer")
	poll.Until(p.t, "idle", func() bool { return p.open() == 2 && p.Conns.closable() == 2 })
	expect.Equal(t, "200", dial().write(deliveryOf("b", "")).read().String(), "the answer")
	if !unverified.isClosed() {
		t.Error("the unverified is still there")
	}
	expect.Equal(t, "200", verified.write(deliveryOf("c", "")).read().String(), "the verified one")
}

// The limit leaves open files for other parts. It isn't lowered if there are enough.
func TestLimitOfConnections(t *testing.T) {
	files, known := maxFiles()
	n := NewConnLimiter(maxConnections).max
	if known && files >= maxConnections+spareFiles && n != maxConnections || n <= 1000 && files > 2000 {
		t.Errorf("%d connections with %d files", n, files)
	}
}

// A connection that is closed to admit another, before it is read from, isn't reported as malformed.
func TestClosedBeforeItIsRead(t *testing.T) {
	p := newPublic(t, nil)
	var refused []RefusedConn
	p.Conns.report = func(r RefusedConn) { refused = append(refused, r) }
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	p.addr = inner.Addr().String()
	l, served := p.Conns.Listen(p.server, inner, nil), make(chan struct{})
	p.server.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			_ = c.(*conn).raw.Close() // as admit does
		case http.StateClosed:
			close(served)
		}
	}
	go func() { _ = p.server.Serve(l) }()
	t.Cleanup(func() { _ = p.server.Close() })
	p.dial()
	<-served
	expect.Equal(t, []RefusedConn(nil), refused, "refused")
}
