package cli

import (
	"net"
	"testing"

	"github.com/ade15e70/webhook-bridge/config"
)

// The address in the environment, or the usual one, or a free one in its place; only on loopback.
func TestLoopback(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		environ []string
		usual   string
		want    string
	}{
		{nil, taken.Addr().String(), "127.0.0.1:0"},
		{[]string{"HTTP_ADDR="}, taken.Addr().String(), "127.0.0.1:0"},
		{[]string{"OTHER_HTTP_ADDR=0.0.0.0:1", "HTTP_ADDR=127.0.0.1:1"}, taken.Addr().String(), "127.0.0.1:1"},
		{[]string{"HTTP_ADDR=localhost:1"}, taken.Addr().String(), "localhost:1"},
		{[]string{"HTTP_ADDR=[::1]:1"}, taken.Addr().String(), "[::1]:1"},
		{nil, "localhost:0", "localhost:0"}, // free
	} {
		if got, problem := loopback(t.Context(), test.environ, "HTTP_ADDR", test.usual); problem != nil || got != test.want {
			t.Errorf("%q, usually %s: %s, %v; want %s", test.environ, test.usual, got, problem, test.want)
		}
	}
	for _, value := range []string{":8080", "0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "example.com:8080", "8080", "127.0.0.1", "127.0.0.1:http"} {
		want := config.Problem{Variable: "HTTP_ADDR", Got: `"` + value + `"`, Takes: "for the demo an address on loopback, such as 127.0.0.1:8080"}
		if got, problem := loopback(t.Context(), []string{"HTTP_ADDR=" + value}, "HTTP_ADDR", "127.0.0.1:8080"); problem == nil || *problem != want {
			t.Errorf("%s: %s, %v; want %s", value, got, problem, want)
		}
	}
}

// Where a listener takes every address, the command reaches it on this machine.
func TestLocal(t *testing.T) {
	for address, want := range map[config.Address]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080",
		"127.0.0.2:8080": "127.0.0.2:8080", "[::1]:8080": "[::1]:8080", "bridge.internal:8080": "bridge.internal:8080",
	} {
		if got := local(address); got != want {
			t.Errorf("local(%s) = %s, want %s", address, got, want)
		}
	}
}
