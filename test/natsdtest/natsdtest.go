// Package natsdtest runs nats-servers for tests, each configured by the text that an operator would
// write into nats-server.conf. A server keeps its address and its store while it is stopped and
// started again; one in a process of its own can be paused and killed too.
package natsdtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// Server is a nats-server at one address with one store.
type Server struct {
	t      testing.TB
	addr   string
	file   string         // its configuration; the store is beside it
	server *server.Server // nil while it is stopped
	child  *child         // nil unless it has one of its own
}

// New returns a server that isn't started yet. JetStream is on, unless the configuration says
// "jetstream: disabled".
func New(t testing.TB, conf string) *Server {
	t.Helper()
	s := &Server{t: t, addr: FreeAddr(t), file: filepath.Join(t.TempDir(), "nats-server.conf")}
	s.Configure(conf)
	t.Cleanup(s.Stop)
	return s
}

// Start returns a server that takes connections.
func Start(t testing.TB, conf string) *Server {
	t.Helper()
	s := New(t, conf)
	s.Start()
	return s
}

// Addr is the server's host:port.
func (s *Server) Addr() string { return s.addr }

// URL is where clients connect.
func (s *Server) URL() string { return "nats://" + s.Addr() }

// Configure sets the configuration, which takes effect when the server is started or reloaded.
func (s *Server) Configure(conf string) {
	s.t.Helper()
	expect.NoError(s.t, os.WriteFile(s.file, []byte(conf), 0o600))
}

// Start starts the server and returns once it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	if s.child != nil {
		s.child.start(s)
		return
	}
	o, err := options(s.file, s.addr)
	expect.NoError(s.t, err)
	if s.server, err = run(o); err != nil {
		s.t.Fatal(err)
	}
}

// Reload makes the running server take the configuration over, as a SIGHUP does.
func (s *Server) Reload(conf string) {
	s.t.Helper()
	s.Configure(conf)
	o, err := options(s.file, s.addr)
	if err == nil {
		err = s.server.ReloadOptions(o)
	}
	expect.NoError(s.t, err)
}

// LameDuck has the server send its clients away and then shut down, as an operator who restarts a
// cluster does.
func (s *Server) LameDuck() {
	s.server.LameDuckShutdown()
	s.server.WaitForShutdown()
	s.server = nil
}

// Stop stops the server, which keeps its address and its store.
func (s *Server) Stop() {
	switch {
	case s.child != nil:
		s.child.kill()
	case s.server != nil:
		s.server.Shutdown()
		s.server.WaitForShutdown()
		s.server = nil
	}
}

// Covers reports, by nats-server's own code, whether all subjects that match inner match outer too.
func Covers(outer, inner string) bool { return server.SubjectMatchesFilter(inner, outer) }

// FreeAddr returns an address for a server; see [process.FreeAddrs].
func FreeAddr(t testing.TB) string {
	t.Helper()
	addrs, err := process.FreeAddrs(1)
	expect.NoError(t, err)
	return addrs[0]
}

// options reads a configuration and adds what every server of a test has.
func options(file, addr string) (*server.Options, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	o.Host, o.StoreDir = host, filepath.Dir(file)
	if o.Port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	o.JetStream = !strings.Contains(string(text), "jetstream: disabled")
	o.NoLog, o.NoSigs = true, true
	o.AuthTimeout = poll.Bound.Seconds() // a busy machine's client may be slow
	if o.LameDuckDuration == 0 {
		o.LameDuckDuration, o.LameDuckGracePeriod = 20*time.Millisecond, 10*time.Millisecond
	}
	return o, nil
}

// run starts a server and returns once it takes connections.
func run(o *server.Options) (*server.Server, error) {
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("nats-server isn't ready on port %d", o.Port)
	}
	return s, nil
}
