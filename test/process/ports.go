package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// FreeAddrs returns loopback addresses that nothing listens on, and whose ports no outgoing
// connection is given: a program that is stopped for a while finds its own free again. No address
// is given twice, because what has one may not listen on it yet, or not just now. Two test programs
// that run at one time begin at different ports, and each marks those that it gives by a UDP socket
// that nobody else needs.
func FreeAddrs(n int) (addrs []string, err error) {
	for range 1000 + n {
		if len(addrs) == n {
			return addrs, nil
		}
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+(os.Getpid()*100+int(given.Add(1)))%20_000)
		mark, err := net.ListenPacket("udp", addr) //nolint:noctx // it doesn't wait
		if err != nil {
			continue
		}
		// To listen there would take the port for longer than until it is closed: a process that is
		// started meanwhile has a copy of the socket until it runs its program.
		c, err := net.DialTimeout("tcp", addr, time.Second) //nolint:noctx // it has a bound
		if err != nil {
			addrs = append(addrs, addr)
			marks.Store(addr, mark)
			continue
		}
		_ = c.Close()
		_ = mark.Close()
	}
	return nil, errors.New("no port is free")
}

var (
	given atomic.Int64 // the number of addresses that were given
	marks sync.Map     // the sockets of those that were free; they are closed when the program ends
)
