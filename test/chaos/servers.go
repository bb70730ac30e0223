package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// natsServer is a nats-server at one address with one store.
type natsServer struct {
	name, addr, route string
	dir, binary       string
	routes            []string // of its cluster, its own among them; none where it is alone
	proc              *process
	proxy             *proxy
}

// The users: who looks on from outside, and the bridge.
const (
	admin        = `{ user: admin, password: admin }`
	mayAll       = `{ user: bridge, password: bridge }`
	changed      = `{ user: bridge, password: another }`
	mayOnlyFlock = `{ user: bridge, password: bridge, permissions { publish: { allow: ["webhooks.flock.>", "webhooks-quarantine.>", "$JS.API.>"] } } }`
)

// configure writes the configuration with the bridge's user, which counts from the next start or reload on.
func (s *natsServer) configure(bridge string) error {
	text := fmt.Sprintf("server_name: %s\nlisten: %q\njetstream { store_dir: %q }\nauthorization { users: [ %s, %s ] }\nwrite_deadline: 5s\n",
		s.name, s.addr, s.dir, admin, bridge)
	if len(s.routes) > 0 {
		var routes []string
		for _, r := range s.routes {
			routes = append(routes, "nats://"+r)
		}
		// Clients are to know the proxies only.
		text += fmt.Sprintf("cluster { name: chaos, listen: %q, no_advertise: true, routes: [%s] }\n", s.route, strings.Join(routes, ", "))
	}
	if err := os.WriteFile(s.file(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuring %s: %w", s.name, err)
	}
	return nil
}

func (s *natsServer) file() string { return filepath.Join(s.dir, "nats-server.conf") }

// start starts it, if it doesn't run.
func (s *natsServer) start() (err error) {
	if !s.proc.runs() {
		s.proc, err = spawn(s.name, filepath.Join(s.dir, "log"), nil, s.binary, "-c", s.file())
	}
	return err
}

// reload makes it read its configuration again.
func (s *natsServer) reload(bridge string) error {
	if err := s.configure(bridge); err != nil {
		return err
	}
	s.proc.signal(syscall.SIGHUP)
	return nil
}

func (s *natsServer) kill()   { s.proc.kill() }
func (s *natsServer) pause()  { s.proc.signal(syscall.SIGSTOP) }
func (s *natsServer) resume() { s.proc.signal(syscall.SIGCONT) }
