package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// pipes is a listener whose connections are in memory, so that their deadlines go by the test's
// clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.closed)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inSyntheticTime runs a test in synthetic time (testing/synctest).
func inSyntheticTime(t *testing.T, test func(t *testing.T, p *public, dial func() *client)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublic(t, nil)
		l := pipes{make(chan net.Conn), make(chan struct{})}
		limited, served := p.Conns.Listen(p.server, l, nil), make(chan struct{})
		go func() {
			_ = p.server.Serve(limited)
			close(served)
		}()
		test(t, p, func() *client {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			t.Cleanup(func() { _ = ours.Close() })
			return &client{ours, t, bufio.NewReader(ours)}
		})
		_ = p.server.Close()
		<-served
	})
}

// end waits until the connection is closed, and returns how long that took.
func (c *client) end() time.Duration {
	began := time.Now()
	_ = c.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, c.reader)
	return time.Since(began)
}

// An idle connection lives longer than a proxy keeps one (600 s), so that the sender closes first,
// also after a request that has changed the deadlines.
func TestIdleConnections(t *testing.T) {
	large := fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: %d\r\n\r\n%s", 600<<10, strings.Repeat("x", 600<<10))
	chunked := "POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
	for name, request := range map[string]string{
		"accepted": deliveryOf("a", ""), "refused": badRequest, "too large": large, "chunked": chunked, "not found": "GET / HTTP/1.1\r\nHost: bridge\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inSyntheticTime(t, func(t *testing.T, p *public, dial func() *client) {
				c := dial()
				c.write(request).read()
				for i, idle := range []time.Duration{time.Second, 6 * time.Second, 11 * time.Minute, 15*time.Minute - time.Second} {
					time.Sleep(idle)
					if r := c.write(deliveryOf(fmt.Sprint(i), "")).read(); r.status != 200 {
						t.Fatalf("after %s: %s", idle, r)
					}
				}
				expect.Equal(t, 15*time.Minute, c.end(), "it was closed after")
				poll.Until(p.t, "closed", func() bool { return p.open() == 0 })
			})
		})
	}
}

// A slow client is disconnected, in each part of a request.
func TestSlowSenders(t *testing.T) {
	const head = "POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\n"
	for _, test := range []struct {
		name, begin, rest string // the rest comes a byte a second
		took              time.Duration
		reply             string
	}{
		{"nothing", "", "", 5 * time.Second, ""},
		{"headers that stop", head, "", 5 * time.Second, ""},
		{"headers that trickle", head, "X: " + strings.Repeat("x", 100), 5 * time.Second, ""},
		{"body that stops", head + "Content-Length: 10\r\n\r\n{", "", 5 * time.Second, "408 body_timeout"},
		{"body that trickles", head + "Content-Length: 10000\r\n\r\n", strings.Repeat(" ", 100), 5 * time.Second, "408 body_timeout"},
		{"large body that stops", head + "Content-Length: 100000\r\n\r\n" + strings.Repeat(" ", 90000), "", 5 * time.Second, "408 body_timeout"},
		{"chunks that trickle", head + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n \r\n", 20), 5 * time.Second, "408 body_timeout"},
		{"trailers that trickle", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: " + strings.Repeat("x", 100), 5 * time.Second, "408 body_timeout"},
		{"body for an unknown path", "POST / HTTP/1.1\r\nHost: bridge\r\nContent-Length: 10000\r\n\r\n", strings.Repeat(" ", 100), 5 * time.Second, "404 not_found"},
		{"body with another method", "PUT /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 10\r\n\r\n", "", 5 * time.Second, "405 method_not_allowed"},
		{"body that is too large", head + "Content-Length: 1000000000\r\n\r\n", "", 5 * time.Second, "413 body_too_large"},
		{"chunks for an unknown path", "POST / HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n\r\n", "", 5 * time.Second, "404 not_found"},
		{"100-continue for an unknown path", "POST / HTTP/1.1\r\nHost: bridge\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", "", 5 * time.Second, "404 not_found"},
		{"nothing after 100 Continue", head + "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", "", 5 * time.Second, "100 plain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inSyntheticTime(t, func(t *testing.T, p *public, dial func() *client) {
				c := dial()
				began := time.Now()
				c.write(test.begin)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for _, b := range []byte(test.rest) {
						time.Sleep(time.Second)
						if _, err := c.Write([]byte{b}); err != nil {
							return
						}
					}
				}()
				if test.reply != "" {
					expect.Equal(t, test.reply, c.read().String(), "the answer")
				} else if text, _ := io.ReadAll(c.reader); len(text) > 0 {
					t.Errorf("answered %q", text)
				}
				c.end()
				// net/http gives the peer half a second to read the answer before it closes a
				// connection.
				if took := time.Since(began); took < test.took || took > test.took+time.Second {
					t.Errorf("it took %s", took)
				}
				poll.Until(p.t, "closed", func() bool { return p.InFlightBytes() == 0 && p.open() == 0 })
				_ = c.Close()
				<-sent
			})
		})
	}
}

// The next head has no more time than the first one, even if it stops within the four bytes for which
// net/http waits on an idle connection.
func TestNextHeadThatStops(t *testing.T) {
	for _, first := range []string{deliveryOf("a", ""), "GET / HTTP/1.1\r\nHost: bridge\r\n\r\n"} {
		for _, begin := range []string{"P", "POS", "POST", "POST / HTTP/1.1\r\nHost: bridge\r\n"} {
			inSyntheticTime(t, func(t *testing.T, _ *public, dial func() *client) {
				c := dial()
				c.write(first).read()
				time.Sleep(time.Minute)
				expect.Equal(t, 5*time.Second, c.write(begin).end(), "after %q it was closed after", begin)
				c = dial()
				c.write(first + begin).read()
				expect.Equal(t, 5*time.Second, c.end(), "with %q at the end of another request it was closed after", begin)
			})
		}
	}
}

// The time for the next head counts from its first byte, however the others come.
func TestNextHeadThatTrickles(t *testing.T) {
	inSyntheticTime(t, func(t *testing.T, _ *public, dial func() *client) {
		c := dial()
		c.write(deliveryOf("a", "")).read()
		time.Sleep(time.Minute)
		var sending sync.WaitGroup
		sending.Go(func() {
			for _, b := range "POST / HTTP/1.1\r\n" {
				if _, err := io.WriteString(c, string(b)); err != nil {
					return
				}
				time.Sleep(1900 * time.Millisecond)
			}
		})
		defer sending.Wait()
		expect.Equal(t, 5*time.Second, c.end(), "it was closed after")
	})
}

// A refused sender is disconnected, even if it goes on sending.
func TestRefusedEnds(t *testing.T) {
	inSyntheticTime(t, func(t *testing.T, _ *public, dial func() *client) {
		c := dial()
		var sending sync.WaitGroup
		sending.Go(func() {
			for err := error(nil); err == nil; time.Sleep(refusedTime / 5) {
				_, err = io.WriteString(c, "PRI * HTTP/2.0\r\n")
			}
		})
		expect.Equal(t, refusedTime, c.end(), "it was closed after")
		sending.Wait()
	})
}

// A sender that never reads its answer is disconnected.
func TestUnreadAnswer(t *testing.T) {
	inSyntheticTime(t, func(t *testing.T, p *public, dial func() *client) {
		c := dial()
		began := time.Now()
		c.write(deliveryOf("a", ""))
		for p.open() > 0 && time.Since(began) < time.Minute {
			time.Sleep(time.Second)
		}
		expect.Within(t, 20*time.Second, began, "the answer")
		if n := p.InFlightBytes(); n != 0 || p.sink.n.Load() != 1 {
			t.Errorf("%d bytes are held, %d events published", n, p.sink.n.Load())
		}
	})
}

// Senders that don't read their answers don't keep a new one out, even if the server still writes
// to as many as the limit allows. It is served at once if they are unverified.
func TestUnreadAnswersMakeRoom(t *testing.T) {
	for request, within := range map[string]time.Duration{badRequest: 0, deliveryOf("unread", ""): answerWrite} {
		inSyntheticTime(t, func(t *testing.T, p *public, dial func() *client) {
			p.Conns.mu.Lock()
			p.Conns.max = 2
			p.Conns.mu.Unlock()
			for range 2 {
				dial().write(request)
			}
			synctest.Wait() // until both are being written to
			began := time.Now()
			expect.Equal(t, "200", dial().write(deliveryOf("good", "")).read().String(), "the answer")
			expect.Within(t, within, began, "the answer")
		})
	}
}

// The body's deadline ends with the body: work that takes longer is answered, and the connection takes its
// next delivery.
func TestWorkLongerThanBodyTimeout(t *testing.T) {
	inSyntheticTime(t, func(t *testing.T, p *public, dial func() *client) {
		handler := p.server.Handler
		p.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler.ServeHTTP(w, r)
			if err := r.Context().Err(); err != nil {
				t.Errorf("the request was cancelled: %v", err)
			}
		})
		block := make(chan struct{})
		p.sink.block.Store(&block)
		time.AfterFunc(bodyTimeout+3*time.Second, func() {
			p.sink.block.Store(nil)
			close(block)
		})
		c := dial()
		for i := range 2 {
			if r := c.write(deliveryOf(fmt.Sprint(i), "")).read(); r.status != 200 || r.closes {
				t.Fatalf("answered %s, closes %v", r, r.closes)
			}
		}
	})
}

// A slow request's deadline doesn't end the idle time after it, nor does the deadline of that time
// lengthen the next request's.
func TestEachDeadlineIsItsOwn(t *testing.T) {
	inSyntheticTime(t, func(t *testing.T, _ *public, dial func() *client) {
		c, first := dial(), deliveryOf("first", "")
		c.write(first[:20])
		time.Sleep(time.Second)
		expect.Equal(t, "200", c.write(first[20:]).read().String(), "the answer")
		time.Sleep(10 * time.Minute)
		expect.Equal(t, "200", c.write(deliveryOf("second", "")).read().String(), "the answer after an idle time")
		began := time.Now()
		c.write(first[:20]).end()
		expect.Within(t, 6*time.Second, began, "the end of half a head")
	})
}

// No byte of the next request is read before this one is answered.
func TestNextRequestWaits(t *testing.T) {
	inSyntheticTime(t, func(t *testing.T, p *public, dial func() *client) {
		c, next := dial(), deliveryOf("next", "")
		c.write(deliveryOf("before", "")).read()
		block := make(chan struct{})
		p.sink.block.Store(&block)
		c.write(deliveryOf("this", ""))
		synctest.Wait() // until it is being published
		isRead := false
		go func() {
			_, _ = io.WriteString(c, next[:1])
			isRead = true
			_, _ = io.WriteString(c, next[1:])
		}()
		synctest.Wait()
		if isRead {
			t.Error("the next request is being read")
		}
		p.sink.block.Store(nil)
		close(block)
		for range 2 {
			expect.Equal(t, "200", c.read().String(), "the answer")
		}
	})
}

// slowDisk refuses each message at its deadline, as the relay does if NATS is away and the disk is slow.
type slowDisk struct{ asked atomic.Int64 }

func (s *slowDisk) Publish(_ context.Context, by time.Time, _ publish.Message) (publish.Status, error) {
	s.asked.Add(1)
	time.Sleep(time.Until(by))
	return "", publish.ErrUnavailable
}

// The answer comes within a second of the body's last byte, even if a slot and the disk are slow.
func TestAnswerInTime(t *testing.T) {
	inSyntheticTime(t, func(t *testing.T, p *public, dial func() *client) {
		var disk slowDisk
		p.Publisher = &disk
		for range cap(p.slots) {
			p.slots <- struct{}{}
		}
		time.AfterFunc(slotTimeout-10*time.Millisecond, func() {
			for range cap(p.slots) {
				<-p.slots
			}
		})
		var all sync.WaitGroup
		for i := range 40 {
			c := dial()
			all.Go(func() {
				_, _ = io.WriteString(c, deliveryOf(fmt.Sprint(i), strings.Repeat("x", 500<<10)))
				whole := time.Now()
				r, err := c.tryRead()
				expect.ErrorIs(t, nil, err, "the answer")
				expect.Equal(t, "503 unavailable", r.String(), "the answer")
				expect.Equal(t, true, r.closes, "whether the next delivery may reach another instance")
				expect.Within(t, time.Second, whole, "the answer")
			})
		}
		all.Wait()
		expect.Equal(t, 40, disk.asked.Load(), "deliveries published")
	})
}
