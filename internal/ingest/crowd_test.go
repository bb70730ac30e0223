package ingest

import (
	"container/list"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

const badRequest = "POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 2\r\n\r\n{}"

// crowded is one that admits few connections.
func crowded(t *testing.T, limit int) *public {
	p := newPublic(t, nil)
	p.crowd = newCrowd(limit)
	return p.listen()
}

func (p *public) open() int {
	n, _ := p.Connections()
	return n
}

// A connection too many is admitted, and the stranger goes that has gone longest without an answer: silent ones, ones that
// send slowly, and ones that are kept alive, just the same.
func TestLongestStrangerGoes(t *testing.T) {
	p := crowded(t, 4)
	known := p.dial()
	if r := known.write(deliveryOf("known", "")).read(); r.status != 200 {
		t.Fatal(r)
	}
	idle := p.dial()
	if r := idle.write(badRequest).read(); r.status != 401 {
		t.Fatal(r)
	}
	p.await("resting", func() bool { return p.crowd.resting() == 2 })
	silent := p.dial()
	p.await("admitting the silent one", func() bool { return p.open() == 3 })
	slow := p.half(1000, 10)
	p.await("admitting the slow one", func() bool { return p.open() == 4 })
	for i, gone := range []*client{idle, silent, slow} {
		c := p.dial()
		if r := c.write(deliveryOf(fmt.Sprint("new", i), "")).read(); r.status != 200 {
			t.Fatalf("a new one: %s", r)
		}
		if !gone.isClosed() {
			t.Fatalf("the %dth stranger is still there", i)
		}
	}
	if r := known.write(deliveryOf("again", "")).read(); r.status != 200 {
		t.Errorf("the known one: %s", r)
	}
	if _, dropped := p.Connections(); dropped != 3 || p.open() != 4 {
		t.Errorf("%d dropped, %d open", dropped, p.open())
	}
}

// resting is how many could be closed.
func (c *crowd) resting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, l := range []*list.List{&c.strangers, &c.known} {
		for e := l.Front(); e != nil; e = e.Next() {
			if !e.Value.(*connection).busy {
				n++
			}
		}
	}
	return n
}

// Where all are known, the one goes that has been idle longest.
func TestLongestKnownGoes(t *testing.T) {
	p := crowded(t, 2)
	first, second := p.dial(), p.dial()
	for _, c := range []*client{first, second, first} {
		if r := c.write(deliveryOf("known", "")).read(); r.status != 200 {
			t.Fatal(r)
		}
		p.await("resting", func() bool { return p.crowd.resting() == p.open() })
	}
	if r := p.dial().write(deliveryOf("new", "")).read(); r.status != 200 {
		t.Errorf("a new one: %s", r)
	}
	if !second.isClosed() {
		t.Error("the longest idle one is still there")
	}
	if r := first.write(deliveryOf("again", "")).read(); r.status != 200 {
		t.Errorf("the other: %s", r)
	}
}

// What is being worked on is never cut off; a new connection waits for its end.
func TestWorkIsNotCutOff(t *testing.T) {
	p := crowded(t, 2)
	block := make(chan struct{})
	p.kept.block.Store(&block)
	busy := []*client{p.dial(), p.dial()}
	for i, c := range busy {
		c.write(deliveryOf(fmt.Sprint(i), ""))
	}
	p.await("working on both", func() bool { return p.open() == 2 && p.crowd.resting() == 0 })
	waiting := p.dial().write(badRequest)
	if _, dropped := p.Connections(); dropped != 0 {
		t.Error("one was dropped")
	}
	p.kept.block.Store(nil)
	close(block)
	for _, c := range busy {
		if r := c.read(); r.status != 200 {
			t.Errorf("one that was worked on: %s", r)
		}
	}
	if r := waiting.read(); r.status != 401 {
		t.Errorf("the one that waited: %s", r)
	}
}

// A listener that closes while it waits for room doesn't wait any longer.
func TestCloseWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublic(t, nil)
		p.crowd = newCrowd(1)
		l := pipes{make(chan net.Conn, 2), make(chan struct{})}
		limited := p.Limit(l)
		for range 2 {
			ours, theirs := net.Pipe()
			defer ours.Close()
			l.conns <- theirs
		}
		one, err := limited.Accept()
		if err != nil {
			t.Fatal(err)
		}
		below(one).works()
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
		if _, err := limited.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		_ = another.Close()
		_ = one.Close()
		_ = one.Close() // counts once
		if n := p.open(); n != 0 {
			t.Errorf("%d are open", n)
		}
	})
}

// Under TLS it is the same, and HTTP/2 is not spoken, whatever the client would like.
func TestTLS(t *testing.T) {
	p := newPublic(t, nil)
	p.crowd = newCrowd(2)
	model := httptest.NewUnstartedServer(nil) // has a certificate
	model.StartTLS()
	defer model.Close()
	p.server.TLSConfig = model.TLS.Clone()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	served := make(chan struct{})
	go func() {
		_ = p.server.ServeTLS(p.Limit(l), "", "")
		close(served)
	}()
	t.Cleanup(func() {
		_ = p.server.Close()
		<-served
	})
	dial := func(protocols ...string) (*client, *tls.Conn, error) {
		plain := p.dial()
		c := tls.Client(plain.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		err := c.Handshake()
		plain.Conn = c
		plain.reader.Reset(c)
		return plain, c, err
	}
	both, conn, err := dial("h2", "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	if spoken := conn.ConnectionState().NegotiatedProtocol; spoken != "http/1.1" {
		t.Errorf("%q is spoken", spoken)
	}
	if r := both.write(deliveryOf("a", "")).read(); r.status != 200 {
		t.Errorf("answered %s", r)
	}
	if _, _, err := dial("h2"); err == nil {
		t.Error("who speaks HTTP/2 only wasn't refused")
	}
	stranger, _, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	if r := stranger.write(badRequest).read(); r.status != 401 {
		t.Errorf("answered %s", r)
	}
	p.await("resting", func() bool { return p.open() == 2 && p.crowd.resting() == 2 })
	another, _, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	if r := another.write(deliveryOf("b", "")).read(); r.status != 200 {
		t.Errorf("answered %s", r)
	}
	if !stranger.isClosed() {
		t.Error("the stranger is still there")
	}
	if r := both.write(deliveryOf("c", "")).read(); r.status != 200 {
		t.Errorf("the known one: %s", r)
	}
}

// The limit leaves files for others, and is what it is where there are enough.
func TestLimitOfConnections(t *testing.T) {
	files, known := maxFiles()
	n := newCrowd(maxConnections).limit
	if known && files >= maxConnections+sparedFiles && n != maxConnections || n <= 1000 && files > 2000 {
		t.Errorf("%d connections with %d files", n, files)
	}
}
