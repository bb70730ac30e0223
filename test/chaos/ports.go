package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// freeAddr returns an address that nothing listens on, and whose port no outgoing connection is given: who
// stops listening on it for a while finds it free again. The host is this process' own, so that two runs at one time
// don't take each other's.
func freeAddr() (string, error) {
	pid := os.Getpid()
	for range 100 {
		addr := fmt.Sprintf("127.%d.%d.%d:%d", 1+pid>>16%200, pid>>8%256, pid%256, 10_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no port is free")
}

// freeAddrs returns n of them.
func freeAddrs(n int) (addrs []string, err error) {
	seen := make(map[string]bool)
	for len(addrs) < n {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		if !seen[addr] {
			seen[addr] = true
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}
