//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// natsServer is a nats-server at one address with one store.
type natsServer struct {
	name, addr, route string
	dir, binary       string
	routes            []string // of its cluster, its own among them; none where it is alone
	domain, leafnodes string   // of a hub or a leaf node: what its configuration has more
	proc              *process.Process
	proxy             *proxy
}

// The users: the observer, and the bridge.
const (
	admin        = `{ user: admin, password: admin }`
	mayAll       = `{ user: bridge, password: bridge }`
	changed      = `{ user: bridge, password: another }`
	mayOnlyFlock = `{ user: bridge, password: bridge, permissions { publish: { allow: ["webhooks.flock.>", "webhooks-quarantine.>", "$JS.API.>"] } } }`
)

// configure writes the configuration with the bridge's user. It takes effect at the next start or
// reload.
func (s *natsServer) configure(bridge string) error {
	text := fmt.Sprintf("server_name: %s\nlisten: %q\njetstream { store_dir: %q%s }\nauthorization { users: [ %s, %s ] }\nwrite_deadline: 5s\nlame_duck_duration: 30s\nlame_duck_grace_period: 500ms\n",
		s.name, s.addr, s.dir, s.domain, admin, bridge)
	if len(s.routes) > 0 {
		var routes []string
		for _, r := range s.routes {
			routes = append(routes, "nats://"+r)
		}
		// Clients must know only the proxies.
		text += fmt.Sprintf("cluster { name: chaos, listen: %q, no_advertise: true, routes: [%s] }\n", s.route, strings.Join(routes, ", "))
	}
	text += s.leafnodes
	if err := os.WriteFile(s.file(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuring %s: %w", s.name, err)
	}
	return nil
}

func (s *natsServer) file() string { return filepath.Join(s.dir, "nats-server.conf") }

// start starts it, if it doesn't run.
func (s *natsServer) start() (err error) {
	if !s.proc.Runs() {
		s.proc, err = process.Start(s.name, filepath.Join(s.dir, "log"), nil, s.binary, "-c", s.file())
	}
	return err
}

// reload makes it read its configuration again.
func (s *natsServer) reload(bridge string) error {
	if err := s.configure(bridge); err != nil {
		return err
	}
	s.proc.Signal(syscall.SIGHUP)
	return nil
}

// lameDuck restarts the server in order, as an operator does for an upgrade: it disconnects its
// clients first.
func (s *natsServer) lameDuck(ctx context.Context) error {
	s.proc.Signal(syscall.SIGUSR2)
	select {
	case <-s.proc.Exited:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return fmt.Errorf("%s still runs after a minute as a lame duck", s.name)
	}
	return s.start()
}

func (s *natsServer) kill()   { s.proc.Kill() }
func (s *natsServer) pause()  { s.proc.Signal(syscall.SIGSTOP) }
func (s *natsServer) resume() { s.proc.Signal(syscall.SIGCONT) }
