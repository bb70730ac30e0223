package ingest

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// The budget counts the bytes that were received, not those announced. Past it the answer is 503. In
// the end all bytes are given back. No record holds the body.
func TestInFlightBytes(t *testing.T) {
	p := newPublic(t, func(c *Config) {
		c.MaxInFlightBytes, c.MaxBodyBytes = 64<<10, 32<<10
		c.Observe = func(r *Record) {
			if r.Event.Data != nil {
				t.Errorf("%s: the record has the body", r.Outcome)
			}
		}
	}).listen()
	head := int64(len(halfHead(32000)))
	holding := []*client{p.half(32000, 0), p.half(32000, 0), p.half(32000, 0)}
	expect.Equal(t, "200", p.dial().write(deliveryOf("announced", "")).read().String(), "while others have announced much and sent nothing")
	for _, c := range holding[:2] {
		c.write(strings.Repeat(" ", 31000))
	}
	poll.Until(p.t, "holding 62,000 bytes and three heads", func() bool { return p.InFlightBytes() == 62000+3*head })
	large := deliveryOf("large", strings.Repeat("x", 4000))
	r := p.dial().write(large).read()
	if r.String() != "503 busy" || r.header.Get("Retry-After") == "" {
		t.Errorf("past the budget: %s", r)
	}
	// The envelope counts too: the body alone would fit.
	expect.Equal(t, "503 busy", p.dial().write(deliveryOf("medium", strings.Repeat("x", 2000))).read().String(), "with an envelope past the budget")
	for _, c := range holding {
		_ = c.Close()
	}
	poll.Until(p.t, "holding nothing", func() bool { return p.InFlightBytes() == 0 })
	expect.Equal(t, "200", p.dial().write(large).read().String(), "afterwards")
	expect.Equal(t, 2, p.sink.n.Load(), "events published")
}

// A head counts while it is arriving. Past the budget the answer is the same as for a body.
func TestHeadIsCharged(t *testing.T) {
	p := newPublic(t, func(c *Config) { c.MaxInFlightBytes = 4 << 10 }).listen()
	r := p.dial().write("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nX: " + strings.Repeat("x", 5000)).read()
	if r.String() != "503 busy" || r.header.Get("Retry-After") == "" || r.header.Get("Content-Type") != "application/problem+json" || !r.closes {
		t.Errorf("got %s, %v", r, r.header)
	}
	expect.Equal(t, 0, p.InFlightBytes(), "bytes still held")
}

// The canonical form is charged before it is made.
func TestCanonicalFormIsCharged(t *testing.T) {
	p := newPublic(t, func(c *Config) { c.MaxInFlightBytes = 64 << 10 }).listen()
	send := func(body string) reply {
		return p.dial().write(fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nX-Flock-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", strings.Repeat("0", 64), len(body), body)).read()
	}
	expect.Equal(t, "503 busy", send(`{"a":[`+strings.Repeat("1e20,", 20<<10/5)+"0]}").String(), "20 KB that become 84")
	expect.Equal(t, "401 signature", send(`{"a":["`+strings.Repeat("x", 40<<10)+`"]}`).String(), "40 KB that stay as they are")
	expect.Equal(t, 0, p.InFlightBytes(), "bytes still held")
}

// Senders that stop in the middle of a body keep others out for no longer than patience; the
// slowest makes room, and receives its 503.
func TestSlowSendersMakeRoom(t *testing.T) {
	p := newPublic(t, func(c *Config) { c.MaxInFlightBytes, c.MaxBodyBytes = 64<<10, 32<<10 }).listen()
	head := int64(len(halfHead(32000)))
	first := p.half(32000, 31000)
	poll.Until(p.t, "holding the first", func() bool { return p.InFlightBytes() == 31000+head })
	second := p.half(32000, 31000)
	poll.Until(p.t, "holding both", func() bool { return p.InFlightBytes() == 62000+2*head })
	p.clock.advance(patience - time.Millisecond)
	large := deliveryOf("large", strings.Repeat("x", 4000))
	expect.Equal(t, "503 busy", p.dial().write(large).read().String(), "before their time is over")
	p.clock.advance(time.Millisecond)
	expect.Equal(t, "200", p.dial().write(large).read().String(), "with slow senders that hold everything")
	first.write(strings.Repeat(" ", 1000)) // what is left of it is read and dropped
	if r := first.read(); r.String() != "503 busy" || r.closes {
		t.Errorf("the first slow one: %s, closes %v", r, r.closes)
	}
	expect.Equal(t, "200", first.write(deliveryOf("again", "")).read().String(), "its next delivery")
	second.write(strings.Repeat(" ", 1000))
	expect.Equal(t, "400 not_json", second.read().String(), "the second, for which there was room")
	expect.Equal(t, 0, p.InFlightBytes(), "bytes still held")
}

// A head that stops makes room, too, and receives its 503.
func TestSlowHeadMakesRoom(t *testing.T) {
	p := newPublic(t, func(c *Config) { c.MaxInFlightBytes = 8 << 10 }).listen()
	slow := p.dial().write("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nX: " + strings.Repeat("x", 6000))
	poll.Until(p.t, "holding the head", func() bool { return p.InFlightBytes() > 6000 })
	good := deliveryOf("good", strings.Repeat("x", 1000))
	expect.Equal(t, "503 busy", p.dial().write(good).read().String(), "before its time is over")
	p.clock.advance(patience)
	expect.Equal(t, "200", p.dial().write(good).read().String(), "with a slow head")
	expect.Equal(t, "503 busy", slow.read().String(), "the slow one")
	poll.Until(p.t, "holding nothing", func() bool { return p.InFlightBytes() == 0 })
}

// Bytes that are charged while the connection closes are given back, too.
func TestChargedAfterClose(t *testing.T) {
	p := newPublic(t, nil)
	ours, theirs := net.Pipe()
	defer ours.Close()
	c := newConn(theirs, p.Conns)
	expect.NoError(t, c.Close())
	_, _ = c.take([]byte("POST "), 5, false)
	expect.Equal(t, 0, p.InFlightBytes(), "bytes still held")
}

// However many slow senders there are, none waits for ever, and all bytes are given back.
func TestManySlowSenders(t *testing.T) {
	p := newPublic(t, func(c *Config) { c.MaxInFlightBytes, c.MaxBodyBytes = 256<<10, 32<<10 }).listen()
	var all []*client
	for range 100 { // twelve times what fits
		all = append(all, p.half(32000, 31000))
		p.clock.advance(patience)
	}
	poll.Until(p.t, "taking a good one", func() bool {
		p.clock.advance(patience)
		return p.dial().write(deliveryOf("good", "")).read().status == 200
	})
	for _, c := range all {
		c.write(strings.Repeat(" ", 1000))
		if r := c.read(); r.String() != "503 busy" && r.String() != "400 not_json" {
			t.Errorf("a slow one: %s", r)
		}
	}
	expect.Equal(t, 0, p.InFlightBytes(), "bytes still held")
}

// A request that had to make room takes no more bytes, and gives none back twice.
func TestMakeRoom(t *testing.T) {
	now := time.Now()
	b := &budget{limit: 10, now: func() time.Time { return now }}
	interrupted := 0
	one := &hold{budget: b, interrupt: func() { interrupted++ }}
	two := &hold{budget: b, interrupt: one.interrupt}
	for _, h := range []*hold{one, two} {
		if !h.take(5, true) {
			t.Fatal("no room")
		}
	}
	now = now.Add(patience)
	if !two.take(1, true) || interrupted != 1 {
		t.Errorf("the first made no room, %d were interrupted", interrupted)
	}
	if one.take(1, true) || one.take(0, false) {
		t.Error("the first takes more after it had to make room")
	}
	one.release()
	if two.take(5, true) || !two.take(0, false) { // it is the slowest itself
		t.Error("the second made room for itself")
	}
	two.release()
	if n := b.inUse(); n != 0 || b.senders.Len() != 0 {
		t.Errorf("%d bytes are still held, %d senders", n, b.senders.Len())
	}
}

// A body of any length comes out as it came in, with or without an announced length.
func TestBody(t *testing.T) {
	for _, n := range []int{0, 1, blockBytes - 1, blockBytes, blockBytes + 1, 2 * blockBytes, 100_000, 1_000_000} {
		want := strings.Repeat("0123456789", n/10+1)[:n]
		for _, announced := range []int64{-1, int64(n), 1 << 40} {
			for _, step := range []int{1, 1000, 1 << 20} {
				var b body
				for b.len < n {
					b.advance(copy(b.room(announced), want[b.len:min(n, b.len+step)]))
				}
				if len(b.room(announced)) == 0 {
					t.Fatalf("%d bytes: there is no room", n)
				}
				if got := string(b.joined()); got != want {
					t.Errorf("%d bytes in steps of %d came out as %d", n, step, len(got))
				}
			}
		}
	}
}

// A large body waits for a slot, for no longer than its sender can wait. A small one doesn't wait.
func TestSlots(t *testing.T) {
	for _, test := range []struct {
		maxInFlight, maxBody int64
		most                 int64
	}{
		{64 << 20, 1 << 20, 1}, {64 << 20, 512 << 10, 2}, {64 << 20, 64 << 20, 1}, {1 << 10, 1 << 20, 1},
	} {
		if n := slots(test.maxInFlight, test.maxBody); n < 1 || n > test.most {
			t.Errorf("%v: %d slots", test, n)
		}
	}
	p := newPublic(t, nil).listen()
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	large := deliveryOf("large", strings.Repeat("x", smallBytes))
	expect.Equal(t, "503 busy", p.dial().write(large).read().String(), "a large one without a slot")
	expect.Equal(t, "200", p.dial().write(deliveryOf("small", "")).read().String(), "a small one")
	<-p.slots
	expect.Equal(t, "200", p.dial().write(large).read().String(), "a large one")
}
