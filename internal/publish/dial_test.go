package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// named is a resolver that knows one name.
func named(name string, addresses ...string) lookUp {
	return func(_ context.Context, host string) ([]string, error) {
		if host != name {
			return nil, fmt.Errorf("looking up %s: no such host", host)
		}
		return append([]string(nil), addresses...), nil
	}
}

// dead listens on an address and takes no connection: the queue of those that wait is full, and the
// kernel drops whatever else comes, as the network does for a node that is gone.
func dead(t *testing.T, address string, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	at := &syscall.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(address).To4())}
	if err := errors.Join(syscall.Bind(fd, at), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	full := func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(address, fmt.Sprint(port)), 200*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err != nil
	}
	poll.Until(t, "the queue is full", full)
}

// Of a name's addresses each gets its share of the time, and the log names the one that failed.
func TestDialsEveryAddress(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	dead(t, "127.0.0.2", number)
	core, logs := observer.New(zapcore.InfoLevel)
	l := newLink(zap.New(core), nil, nil, nil)
	l.lookUp = named("nats", "127.0.0.2", "127.0.0.1")
	for range 20 { // until it happens to come first
		start := time.Now()
		c, err := l.dial("tcp", "nats:"+port)
		if err != nil {
			t.Fatalf("after %s: %v", time.Since(start), err)
		}
		if got := c.RemoteAddr().String(); got != s.Addr() {
			t.Errorf("connected to %s", got)
		}
		_ = c.Close()
		if logs.Len() > 0 {
			break
		}
	}
	if said := fmt.Sprint(logs.All()); !strings.Contains(said, "127.0.0.2:"+port) {
		t.Errorf("the log doesn't name the address that failed: %s", said)
	}
	l.lookUp = named("nats", "127.0.0.2", "127.0.0.2")
	if _, err := l.dial("tcp", "nats:"+port); err == nil || !strings.Contains(err.Error(), "127.0.0.2:"+port+": i/o timeout") {
		t.Errorf("all addresses fail: %v", err)
	}
}

// An address that takes a connection and then says nothing isn't chosen again and again.
func TestConnectsPastSilentAddress(t *testing.T) {
	t.Parallel()
	for range 4 { // it comes first in every other one
		s := natsdtest.Start(t, "")
		_, port, _ := net.SplitHostPort(s.Addr())
		silent, err := net.Listen("tcp", "127.0.0.2:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = silent.Close() }()
		start := time.Now()
		f := open(t, "nats://nats:"+port, func(c *Config) { c.Server.lookUp = named("nats", "127.0.0.2", "127.0.0.1") }).connected()
		if took := time.Since(start); took > dialTimeout+2*reconnectWait+time.Second {
			t.Errorf("connected after %s", took)
		}
		f.stores("1")
	}
}

// A name server that doesn't answer gets 5 s before the next one is asked.
func TestLookUpMayTakeLong(t *testing.T) {
	t.Parallel()
	l := newLink(zap.NewNop(), nil, nil, nil)
	l.lookUp = func(ctx context.Context, _ string) ([]string, error) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < 6*time.Second {
			t.Errorf("until %v", deadline)
		}
		return nil, errors.New("no such host")
	}
	if _, err := l.dial("tcp", "nats:4222"); err == nil || err.Error() != "no such host" {
		t.Errorf("got %v", err)
	}
}
