// Sender is what test/e2e-k8s runs inside of the cluster: it sends signed deliveries at a constant rate
// until it is told to stop, and then holds the stream to its ledger. Commands:
//
//	sender run         send; a line of JSON each second and for each failure, and the verdict at the end
//	sender key P KEY   sign the deliveries of provider P with KEY from now on
//	sender stop        end, and compare
//	sender dial A...   print for each address whether it can be connected to
//	sender try URL P KEY   send one delivery and print its status
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sender:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "run":
		return load(context.Background())
	case len(args) == 3 && args[0] == "key":
		return os.WriteFile(filepath.Join(control, args[1]+".new"), []byte(args[2]), 0o600)
	case len(args) == 1 && args[0] == "stop":
		return os.WriteFile(filepath.Join(control, "stop"), nil, 0o600)
	case len(args) > 1 && args[0] == "dial":
		dial(args[1:])
		return nil
	case len(args) == 4 && args[0] == "try":
		return try(args[1], args[2], args[3])
	}
	return errors.New("takes run, key, stop, dial or try")
}

// control is a directory through which the other commands reach the running one.
const control = "/control"

// dial prints for each address whether it can be reached. A connection that a NetworkPolicy forbids
// gets no answer, or a reset.
func dial(addresses []string) {
	for _, address := range addresses {
		state := "open"
		c, err := net.DialTimeout("tcp", address, 3*time.Second)
		if err == nil {
			_ = c.Close()
		} else {
			state = "closed"
		}
		fmt.Println(address, state)
	}
}

// try sends one delivery.
func try(url, provider, key string) error {
	p := providers.ByName(provider)
	if p == nil {
		return fmt.Errorf("no provider %q", provider)
	}
	d := &deliverer{url: url, provider: p, client: client(false)}
	d.key.Store(new(secret.New(key)))
	fmt.Println(d.deliver(context.Background(), "try-"+time.Now().Format("150405.000")))
	return nil
}
