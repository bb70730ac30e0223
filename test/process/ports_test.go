package process

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// No address is given twice: what has one may not listen on it yet.
func TestFreeAddrs(t *testing.T) {
	seen := make(map[string]bool)
	for range 200 {
		addrs, err := FreeAddrs(5)
		expect.NoError(t, err)
		for _, addr := range addrs {
			if seen[addr] {
				t.Errorf("%s is given twice", addr)
			}
			seen[addr] = true
		}
	}
}

// What another program has been given isn't given, even if nothing listens there.
func TestAddrsOfAnotherProgram(t *testing.T) {
	theirs, err := FreeAddrs(200)
	expect.NoError(t, err)
	given.Add(-200) // as in a program that begins at the same port
	ours, err := FreeAddrs(200)
	expect.NoError(t, err)
	for _, addr := range ours {
		if slices.Contains(theirs, addr) {
			t.Errorf("%s is given by both", addr)
		}
	}
}

func TestNoAddrs(t *testing.T) {
	if addrs, err := FreeAddrs(0); len(addrs) > 0 || err != nil {
		t.Errorf("no address: got %v, %v, want none", addrs, err)
	}
}

// A process that is started while a socket is open has a copy of it for a moment. An address must
// not be taken by that.
func TestFreeWhileProcessesStart(t *testing.T) {
	var ended atomic.Bool
	var starters sync.WaitGroup
	for range 4 {
		starters.Go(func() {
			for !ended.Load() {
				_ = exec.Command(os.Args[0], "-test.run=^$").Run()
			}
		})
	}
	for range 3000 {
		addrs, err := FreeAddrs(1)
		expect.NoError(t, err)
		l, err := net.Listen("tcp", addrs[0])
		if err != nil {
			t.Errorf("want a free address, got %v", err)
			continue
		}
		_ = l.Close()
		mark, _ := marks.LoadAndDelete(addrs[0])
		_ = mark.(net.PacketConn).Close() // thousands of open sockets are more than some systems allow
	}
	ended.Store(true)
	starters.Wait()
}
