package process

import (
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

func TestNoAddrs(t *testing.T) {
	if addrs, err := FreeAddrs(0); len(addrs) > 0 || err != nil {
		t.Errorf("no address: got %v, %v, want none", addrs, err)
	}
}
