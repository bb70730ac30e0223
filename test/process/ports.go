package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
)

// FreeAddrs returns loopback addresses that nothing listens on, and whose ports no outgoing
// connection is given: a program that is stopped for a while finds its own free again. No address
// is given twice, because what has one may not listen on it yet. On Linux, where all of 127.0.0.0/8
// is loopback, the host is this process' own, so that two runs at one time don't take each other's.
func FreeAddrs(n int) (addrs []string, err error) {
	host := "127.0.0.1"
	if pid := os.Getpid(); runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+pid>>16%200, pid>>8%256, pid%256)
	}
	for range 100 * n {
		addr := fmt.Sprintf("%s:%d", host, 10_000+rand.IntN(20_000)) //nolint:gosec // nobody gains by guessing it
		if _, again := given.LoadOrStore(addr, true); again {
			continue
		}
		l, err := net.Listen("tcp", addr) //nolint:noctx // it doesn't wait
		if err != nil {
			continue
		}
		_ = l.Close()
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, errors.New("no port is free")
}

var given sync.Map // the addresses that were given
