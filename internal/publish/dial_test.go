package publish

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// resolve makes a name known to this process, for as long as the test runs.
func resolve(t *testing.T, name string, addresses ...string) {
	t.Helper()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go answerDNS(far, name, addresses)
		return near, nil
	}}
}

// answerDNS answers one question, as over TCP: for the name with the addresses, otherwise with
// none.
func answerDNS(wire net.Conn, name string, addresses []string) {
	defer func() { _ = wire.Close() }()
	size := make([]byte, 2)
	if _, err := io.ReadFull(wire, size); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(size))
	if _, err := io.ReadFull(wire, question); err != nil {
		return
	}
	end := 12 + bytes.IndexByte(question[12:], 0) + 5 // behind the name, its type and class
	asked := question[12:end]
	answers := 0
	answer := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, asked...)
	if isA := asked[len(asked)-3] == 1; isA && bytes.HasPrefix(asked[1:], []byte(name)) {
		for _, a := range addresses {
			answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
			answer = append(answer, net.ParseIP(a).To4()...)
			answers++
		}
	}
	answer[7] = byte(answers)
	_, _ = wire.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

// dead listens on an address and accepts no connection: its queue is full, and the kernel drops
// further attempts, as the network does for a dead node.
func dead(t *testing.T, address string, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	expect.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	at := &syscall.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(address).To4())}
	expect.NoError(t, errors.Join(syscall.Bind(fd, at), syscall.Listen(fd, 0)))
	full := func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(address, fmt.Sprint(port)), 200*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err != nil
	}
	poll.Until(t, "the queue is full", full)
}

// A name has one dead and one silent address: the log names the one that can't be reached, and the
// silent one isn't tried again and again.
func TestDialsEveryAddress(t *testing.T) {
	s := natsdtest.Start(t, "")
	host, port, err := net.SplitHostPort(s.Addr())
	expect.NoError(t, err)
	number, err := strconv.Atoi(port)
	expect.NoError(t, err)
	dead(t, "127.0.0.2", number)
	silent, err := net.Listen("tcp", "127.0.0.3:"+port)
	expect.NoError(t, err)
	defer func() { _ = silent.Close() }()
	resolve(t, "nats", host, "127.0.0.2")
	poll.Until(t, "the dead one comes first, and the other one is used in the same attempt", func() bool {
		start := time.Now()
		f := open(t, "nats://nats:"+port).connected()
		f.stores(fmt.Sprint(start))
		said := fmt.Sprint(f.logs.FilterMessage("address of a NATS server can't be reached, another one is used").All())
		return strings.Contains(said, "dial tcp 127.0.0.2:"+port+": i/o timeout") && f.logged(sayUnreachable) == 0
	})
	resolve(t, "nats", host, "127.0.0.3")
	for range 4 { // the silent one comes first in every other one
		open(t, "nats://nats:"+port).connected()
	}
	for range 20 {
		d := &dialer{ctx: t.Context()}
		first, err := d.Dial("tcp", "nats:"+port)
		expect.NoError(t, err)
		second, err := d.Dial("tcp", "nats:"+port) // the handshake with the first has failed
		expect.NoError(t, err)
		if first.RemoteAddr().String() == second.RemoteAddr().String() {
			t.Errorf("%s is tried again and again", first.RemoteAddr())
		}
		_ = second.Close()
	}
}

// hangsUp returns the address of a server that says nothing, and hangs up after some time.
func hangsUp(t *testing.T, after time.Duration) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for wire, err := listener.Accept(); err == nil; wire, err = listener.Accept() {
			_ = wire.SetReadDeadline(time.Now().Add(after))
			_, _ = io.Copy(io.Discard, wire)
			_ = wire.Close()
		}
	}()
	return listener.Addr().(*net.TCPAddr)
}

// A server that hangs up at once may be stopping, however long it took to reach it.
func TestHangsUpAfterLongDial(t *testing.T) {
	t.Parallel()
	address := hangsUp(t, 0)
	dead(t, "127.0.0.2", address.Port)
	poll.Until(t, "an end without a remedy", func() bool { // once is enough: a busy machine may be slow
		d := &dialer{ctx: t.Context(), others: []string{address.String()}}
		_, err := Server{URL: fmt.Sprint("nats://127.0.0.2:", address.Port)}.connect(d)
		return errors.Is(err, io.EOF) && Server{}.remedy(err) == ""
	})
}

// If the server closes the connection, its reason can be read though a write has failed.
func TestReasonAfterFailedWrite(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer func() { _ = server.Close() }()
	c, err := (&dialer{ctx: t.Context()}).Dial("tcp", server.Addr().String())
	expect.NoError(t, err)
	accepted, err := server.Accept()
	expect.NoError(t, err)
	expect.NoError(t, expect.Err(c.Write([]byte("not read"))))
	expect.NoError(t, expect.Err(accepted.Write([]byte("expired"))))
	expect.NoError(t, accepted.Close())
	poll.Until(t, "a write fails", func() bool { return expect.Err(c.Write([]byte("x"))) != nil })
	reason := make([]byte, 7)
	_, err = io.ReadFull(c, reason)
	expect.NoError(t, err)
	expect.Equal(t, "expired", string(reason), "read")
	poll.Until(t, "the connection is lost", func() bool { return c.(*conn).alive.Err() != nil })
}

// slowPeer is a connection whose peer doesn't read: a part of each write is sent.
type slowPeer struct {
	net.Conn
	writes int
}

func (p *slowPeer) Write(b []byte) (int, error) {
	p.writes++
	return len(b) / 2, os.ErrDeadlineExceeded
}

// After a part of a message nothing else may be sent: the server would take it for the rest.
func TestNoWriteAfterFailedWrite(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	wire := &slowPeer{Conn: ours}
	c := newConn(wire)
	for range 3 {
		if _, err := c.Write([]byte("message")); err == nil {
			t.Error("got no error")
		}
	}
	expect.Equal(t, 1, wire.writes, "writes")
	<-c.alive.Done()
	expect.ErrorIs(t, os.ErrDeadlineExceeded, context.Cause(c.alive), "the reason")
}

// A look-up that hangs ends with Close.
func TestCloseEndsLookUp(t *testing.T) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	asked, ended := make(chan struct{}, 1000), make(chan error, 1000)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		asked <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}
	poll.Until(t, "a look-up is cancelled", func() bool { // on a busy machine its time may be over before
		f := open(t, "nats://nats:4222")
		<-asked
		expect.NoError(t, f.close(t.Context()))
		return errors.Is(<-ended, context.Canceled)
	})
}

// When the only server that is configured is gone, another one of its cluster is used.
func TestDialsOtherServers(t *testing.T) {
	t.Parallel()
	s, other := natsdtest.Start(t, ""), natsdtest.Start(t, "")
	d := &dialer{ctx: t.Context(), others: []string{other.Addr()}}
	for _, want := range []*natsdtest.Server{s, other} {
		c, err := d.Dial("tcp", s.Addr())
		if err != nil || c.RemoteAddr().String() != want.Addr() {
			t.Fatalf("dialled %v, %v; want %s", c, err, want.Addr())
		}
		d.last = nil // the handshake was successful
		s.Stop()
	}
}
