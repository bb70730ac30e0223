// Package natsd is an embedded nats-server with JetStream: what the bridge runs without NATS_URL,
// and what the tests run against. It is the only package that knows nats-server.
package natsd

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// Config is where the server listens and stores, and who may connect.
type Config struct {
	Addr     string // host:port; port 0 takes a free one
	Dir      string // of the store
	User     string
	Password secret.Secret
	Token    secret.Secret
	Log      *zap.Logger
}

// maxPayload is how large a message may be: the largest body that is usual, canonical (4.4 times as
// long at worst), with its envelope.
const maxPayload = 8 << 20

// readyTimeout is how long the server may take to open its store.
const readyTimeout = 30 * time.Second

// Server is a running nats-server.
type Server struct{ server *server.Server }

// Start returns once the server takes connections. Every write to its store is on disk before it is
// acknowledged.
func Start(c Config) (*Server, error) {
	host, portText, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return nil, fmt.Errorf("starting embedded nats-server: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("starting embedded nats-server: %w", err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	options := &server.Options{
		ServerName:    "webhook-bridge",
		Host:          host,
		Port:          port,
		JetStream:     true,
		StoreDir:      c.Dir,
		SyncAlways:    true,
		MaxPayload:    maxPayload,
		Username:      c.User,
		Password:      string(c.Password.Key()),
		Authorization: string(c.Token.Key()),
		NoSigs:        true, // signals are the bridge's
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("starting embedded nats-server: %w", err)
	}
	logger := &logger{log: c.Log.Named("nats-server").WithOptions(zap.AddCallerSkip(1)).Sugar()}
	s.SetLoggerV2(logger, false, false, false)
	s.Start() // returns; it listens in goroutines of its own
	if !s.ReadyForConnections(readyTimeout) {
		s.Shutdown()
		return nil, errors.Join(fmt.Errorf("starting embedded nats-server on %s: it is not ready; is the address in use, or %s not writable?", c.Addr, c.Dir), logger.last())
	}
	return &Server{s}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.server.ClientURL() }

// Stop shuts the server down and waits until its store is closed.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
