package ingest

import (
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// counter counts the read deadlines of a connection.
type counter struct {
	net.Conn
	n int
}

func (c *counter) SetReadDeadline(t time.Time) error {
	c.n++
	return c.Conn.SetReadDeadline(t)
}

// A read ends at the deadline that was set last, before or during the read. Only an earlier one is
// passed on at once.
func TestReadDeadlines(t *testing.T) {
	for _, test := range []struct {
		name   string
		before []time.Duration // set before the read; 0 is none
		during time.Duration   // set 10 s after its beginning; -1: nothing is set
		ends   time.Duration
		passed int
	}{
		{"one", []time.Duration{time.Minute}, -1, time.Minute, 1},
		{"the last", []time.Duration{time.Minute, 0, time.Hour, 2 * time.Minute}, -1, 2 * time.Minute, 1},
		{"none, then one", []time.Duration{0}, time.Minute, time.Minute, 1},
		{"a later one", []time.Duration{time.Minute}, time.Hour, time.Hour, 2},
		{"an earlier one", []time.Duration{time.Hour}, time.Minute, time.Minute, 2},
		{"one that has passed", []time.Duration{time.Hour}, time.Second, 10 * time.Second, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				inner := &counter{Conn: ours}
				d, began := &deadlines{Conn: inner}, time.Now()
				defer d.Close()
				set := func(after time.Duration) {
					at := began.Add(after)
					if after == 0 {
						at = time.Time{}
					}
					expect.NoError(t, d.SetReadDeadline(at))
				}
				for _, after := range test.before {
					set(after)
				}
				if test.during >= 0 {
					time.AfterFunc(10*time.Second, func() { set(test.during) })
				}
				_, err := d.Read(make([]byte, 1))
				expect.ErrorIs(t, os.ErrDeadlineExceeded, err, "the read")
				expect.Equal(t, test.ends, time.Since(began), "it took")
				expect.Equal(t, test.passed, inner.n, "deadlines passed on")
			})
		})
	}
}

// A later deadline isn't passed on with the next read.
func TestLaterReadDeadline(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	inner := &counter{Conn: ours}
	d := &deadlines{Conn: inner}
	defer d.Close()
	go func() { _, _ = theirs.Write([]byte("xy")) }()
	for _, after := range []time.Duration{time.Minute, time.Hour} {
		expect.NoError(t, d.SetReadDeadline(time.Now().Add(after)))
		expect.NoError(t, expect.Err(d.Read(make([]byte, 1))))
	}
	expect.Equal(t, 1, inner.n, "deadlines passed on")
}

// A write has the deadline that was set last, at least a moment. Without a deadline it has a fixed time, even
// after one has passed: TLS writes on an idle connection.
func TestWriteDeadlines(t *testing.T) {
	for _, test := range []struct {
		set  []time.Duration // 0 is none
		ends time.Duration
	}{
		{nil, tlsWrite},
		{[]time.Duration{time.Hour, time.Minute}, time.Minute},
		{[]time.Duration{time.Minute, 0}, tlsWrite},
		{[]time.Duration{-time.Second}, minWrite},
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			d := &deadlines{Conn: ours}
			defer d.Close()
			write := func() time.Duration {
				began := time.Now()
				expect.ErrorIs(t, os.ErrDeadlineExceeded, expect.Err(d.Write([]byte("x"))), "the write")
				return time.Since(began)
			}
			for _, after := range test.set {
				at := time.Now().Add(after)
				if after == 0 {
					at = time.Time{}
				}
				expect.NoError(t, d.SetWriteDeadline(at))
			}
			expect.Equal(t, test.ends, write(), "the write took")
			expect.NoError(t, d.SetWriteDeadline(time.Time{}))
			expect.Equal(t, tlsWrite, write(), "the next one took")
		})
	}
}
