//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// freeAddr returns an address that nothing listens on, and whose port no outgoing connection is given: who
// stops listening on it for a while finds it free again. The host is this process' own, so that two runs at one time
// don't take each other's.
func freeAddr() (string, error) {
	pid := os.Getpid()
	given.Lock()
	defer given.Unlock()
	for range 100 {
		addr := fmt.Sprintf("127.%d.%d.%d:%d", 1+pid>>16%200, pid>>8%256, pid%256, 10_000+rand.IntN(20_000))
		if given.addrs[addr] {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			given.addrs[addr] = true
			return addr, l.Close()
		}
	}
	return "", errors.New("no port is free")
}

// given are the addresses that were given out: what has one may not listen on it yet, or not just now.
var given = struct {
	sync.Mutex
	addrs map[string]bool
}{addrs: make(map[string]bool)}

// freeAddrs returns n of them.
func freeAddrs(n int) (addrs []string, err error) {
	for range n {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
