package ingest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// sequence is a list of an attacker's steps on a few connections. Its bytes are read in pairs: the
// step and the connection, and the amount.
type sequence struct {
	dial  func() net.Conn
	pause func(n byte)
	conns [4]net.Conn
}

// fragments are parts of requests, in any order.
var fragments = []string{
	"POST /webhooks/flock HTTP/1.1\r\n", "Host: x\r\n", "\r\n", "a:\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"Transfer-Encoding: chunked\r\n", "Content-Length: 200\r\n", "Content-Length: 4000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n",
	"1\r\nx\r\n", "10\r\n", "0\r\n\r\n", "0\r\nX: y\r\n\r\n", "Expect: 100-continue\r\n", "Connection: close\r\n", "{}",
	"PROXY TCP4 ", hello, "PRI * HTTP/2.0\r\n\r\n", "\x00", "\n", "HTTP/1.0\r\n\r\n", strings.Repeat("aa:\r\n", 200), badRequest,
}

// smallLimits are those of the listener under attack.
func smallLimits(c *Config) {
	c.MaxInFlightBytes, c.MaxBodyBytes = 24<<10, 8<<10
}

const smallConnections = 3

// play performs the steps.
func (s *sequence) play(t testing.TB, steps []byte) {
	for ; len(steps) >= 2; steps = steps[2:] {
		step, n := steps[0]>>2, steps[1]
		c := &s.conns[steps[0]&3]
		if *c == nil {
			*c = s.dial()
		}
		_ = (*c).SetDeadline(time.Now().Add(time.Second))
		switch step % 9 {
		case 0, 1:
			s.write(*c, fragments[int(n)%len(fragments)])
		case 2:
			s.write(*c, strings.Repeat(" ", 32*int(n)))
		case 3:
			s.write(*c, deliveryOf("sequence", strings.Repeat("x", 16*int(n))))
		case 4:
			whole := deliveryOf("sequence", strings.Repeat("x", 8*int(n)))
			s.write(*c, whole[:len(whole)*int(n)/256])
		case 5:
			s.pause(n)
		case 6:
			s.read(t, *c)
		case 7:
			if half, ok := (*c).(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		case 8:
			_ = (*c).Close()
			*c = nil
		}
	}
}

// write sends, unless the other side has gone or doesn't read.
func (*sequence) write(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

// read reads an answer, if there is one, and checks that it is a known one.
func (*sequence) read(t testing.TB, c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return
	}
	defer response.Body.Close()
	if known := []int{100, 200, 400, 401, 404, 405, 408, 413, 415, 417, 431, 501, 503, 505}; !slices.Contains(known, response.StatusCode) {
		t.Errorf("answered %s", response.Status)
	}
}

func (s *sequence) close() {
	for _, c := range s.conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

// addAttacks adds known attacks as seeds.
func addAttacks(f *testing.F) {
	at := func(step, conn, n byte) []byte { return []byte{step<<2 | conn, n} }
	many := func(n int, steps ...[]byte) []byte { return slices.Repeat(slices.Concat(steps...), n) }
	f.Add(slices.Concat(at(0, 0, 0), at(0, 0, 1), at(0, 0, 22), at(6, 0, 0)))                            // tiny headers
	f.Add(slices.Concat(at(0, 0, 23), at(0, 0, 22), at(6, 0, 0)))                                        // behind another request
	f.Add(slices.Concat(at(0, 0, 0), many(120, at(0, 0, 3)), at(6, 0, 0)))                               // a head without end
	f.Add(slices.Concat(at(0, 0, 0), at(0, 0, 1), at(0, 0, 8), at(0, 0, 9), at(0, 0, 11), at(0, 0, 22))) // behind chunks
	f.Add(many(40, at(0, 0, 4), at(6, 0, 0), at(0, 1, 4), at(6, 1, 0), at(0, 2, 4), at(6, 2, 0)))        // refused again and again
	f.Add(slices.Concat(at(4, 0, 250), at(4, 1, 250), at(4, 2, 250), at(4, 3, 250), at(5, 0, 9)))        // bodies that stop
	f.Add(slices.Concat(at(0, 0, 0), at(0, 0, 1), at(0, 0, 7), many(4, at(2, 0, 30)), at(8, 0, 0)))      // and a hang-up
	f.Add(slices.Concat(at(3, 0, 1), at(3, 1, 1), at(3, 2, 1)))
	f.Add(many(20, at(3, 0, 10)))                                                                             // answers that are never read
	f.Add(slices.Concat(at(0, 0, 16), at(0, 1, 17), at(0, 2, 18), at(6, 0, 0), at(6, 1, 0), at(6, 2, 0)))     // not HTTP/1.1
	f.Add(slices.Concat(at(0, 0, 0), at(0, 0, 1), at(0, 0, 13), at(0, 0, 7), at(6, 0, 0), at(7, 0, 0)))       // 100 Continue, and the end of the stream
	f.Add(slices.Concat(at(0, 0, 0), at(0, 0, 1), at(0, 0, 5), at(0, 0, 7), at(0, 0, 9), at(0, 0, 12)))       // two framings
	f.Add(slices.Concat(at(3, 0, 10), at(4, 0, 100), at(5, 0, 200), at(4, 0, 255), at(6, 0, 0), at(3, 0, 1))) // with a pause
}

// FuzzConnections plays sequences against a listener with small limits, on real connections.
// Meanwhile the limits hold and a good sender is served; afterwards nothing is left.
func FuzzConnections(f *testing.F) {
	addAttacks(f)
	p := newPublic(f, smallLimits)
	p.Conns.max = smallConnections
	p.listen()
	var goroutines, files int // before the first one
	var heap uint64
	f.Fuzz(func(t *testing.T, steps []byte) {
		if goroutines == 0 {
			goroutines, files, heap = runtime.NumGoroutine(), openFiles(), heapInUse()
		}
		s := sequence{
			dial: func() net.Conn { return p.dialFor(t) },
			pause: func(n byte) {
				p.clock.advance(time.Duration(n) * 10 * time.Millisecond)
				time.Sleep(time.Millisecond) // lets the other side run; nothing depends on it
			},
		}
		defer s.close()
		s.play(t, steps[:min(len(steps), 400)])
		if n := p.InFlightBytes(); n < 0 || n > p.MaxInFlightBytes {
			t.Errorf("%d bytes are held, of %d", n, p.MaxInFlightBytes)
		}
		p.clock.advance(patience) // from now on slow ones make room
		began := time.Now()
		p.serveGood(t, p.dialFor(t))
		expect.Within(t, 5*time.Second, began, "a good delivery")
		s.close()
		if !poll.Holds(func() bool {
			return p.open() == 0 && p.InFlightBytes() == 0 && runtime.NumGoroutine() <= goroutines+2 && openFiles() <= files+2
		}) {
			t.Fatalf("left: %d connections, %d bytes, %d goroutines of %d, %d files of %d",
				p.open(), p.InFlightBytes(), runtime.NumGoroutine(), goroutines, openFiles(), files)
		}
		if n := heapInUse(); n > heap+160<<20 { // the fuzzer itself takes 100 MB
			t.Errorf("the heap has %d MB more than at the beginning", (n-heap)>>20)
		}
	})
}

// heapInUse returns how much of the heap is in use, after a collection where it seems to be much.
func heapInUse() uint64 {
	var memory runtime.MemStats
	if runtime.ReadMemStats(&memory); memory.HeapAlloc > 128<<20 {
		runtime.GC()
		runtime.ReadMemStats(&memory)
	}
	return memory.HeapAlloc
}

// FuzzConnectionsInTime plays sequences in memory and in synthetic time, so pauses can last seconds. In the
// end every silent client is disconnected, even one that never closes its connection.
func FuzzConnectionsInTime(f *testing.F) {
	addAttacks(f)
	f.Fuzz(func(t *testing.T, steps []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := newPublic(t, func(c *Config) {
				smallLimits(c)
				c.Now = time.Now
			})
			p.Conns.max = smallConnections
			l := pipes{make(chan net.Conn), make(chan struct{})}
			served := make(chan struct{})
			go func() {
				_ = p.server.Serve(p.Conns.Listen(p.server, l, nil))
				close(served)
			}()
			dial := func() net.Conn {
				ours, theirs := net.Pipe()
				l.conns <- theirs
				return ours
			}
			s := sequence{dial: dial, pause: func(n byte) { time.Sleep(time.Duration(n) * 50 * time.Millisecond) }}
			s.play(t, steps[:min(len(steps), 400)])
			time.Sleep(patience)
			good := dial()
			began := time.Now()
			p.serveGood(t, good)
			expect.Within(t, answerWrite+time.Second, began, "a good delivery")
			time.Sleep(20 * time.Minute)
			if p.open() != 0 || p.InFlightBytes() != 0 {
				t.Errorf("left: %d connections, %d bytes", p.open(), p.InFlightBytes())
			}
			_ = good.Close()
			s.close()
			_ = p.server.Close()
			<-served
		})
	})
}

// dialFor opens a connection for one round.
func (p *public) dialFor(t testing.TB) net.Conn {
	c, err := net.Dial("tcp", p.addr)
	expect.NoError(t, err)
	return c
}

// serveGood sends a good delivery, which is answered 200.
func (p *public) serveGood(t testing.TB, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	body, header := signedBodyAt(p.Now(), "good", "")
	c := &client{conn, t, bufio.NewReader(conn)}
	go func() {
		_, _ = io.WriteString(conn, fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\n%s\r\nContent-Length: %d\r\n\r\n%s", header, len(body), body))
	}()
	if r, err := c.tryRead(); err != nil || r.status != 200 {
		t.Errorf("a good delivery: %s, %v", r, err)
	}
}

// openFiles counts the process' open files; 0 if that is unknown.
func openFiles() int {
	all, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	return len(all)
}
