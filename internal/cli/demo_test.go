package cli

import (
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// If a listener takes every address, commands reach it on this machine.
func TestLocal(t *testing.T) {
	for address, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080",
		"127.0.0.2:8080": "127.0.0.2:8080", "[::1]:8080": "[::1]:8080", "bridge.internal:8080": "bridge.internal:8080",
	} {
		expect.Equal(t, want, local(address), "local(%s)", address)
	}
}
