// Package natsd runs an embedded nats-server with JetStream, for the bridge without NATS_URL.
package natsd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// Config is the server's address, store and credentials.
type Config struct {
	Addr     string // host:port; port 0 means a free one
	Dir      string // of the store
	User     string
	Password secret.Secret
	Token    secret.Secret
	Log      *zap.Logger
}

// maxPayload is the largest message in bytes. Any body of the default MAX_BODY_BYTES fits, although its
// canonical form may be 4.4 times as long.
const maxPayload = 8 << 20

// readyTimeout bounds the wait for connections after the store is open.
const readyTimeout = 10 * time.Second

// Server is a running nats-server.
type Server struct {
	server *server.Server
	lock   io.Closer // of the store
}

// Start returns once the server accepts connections. The server acknowledges only what is on disk.
func Start(c Config) (s *Server, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("starting embedded nats-server: %w", err)
		}
	}()
	if err := checkFree(c.Addr); err != nil {
		return nil, err
	}
	// Without the lock two servers would share a store and damage it.
	lock, err := fileio.LockDir(c.Dir, "nats-server.lock")
	if err != nil {
		return nil, fmt.Errorf("%w: set DATA_DIR to a writable directory that no other process uses", err)
	}
	started, err := start(c)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &Server{started, lock}, nil
}

// checkFree returns an error if the address is in use. The server itself would notice only after it has
// opened its store, which the process at that address may be using.
func checkFree(addr string) error {
	l, err := net.Listen("tcp", addr) //nolint:noctx // it doesn't wait
	if err != nil {
		return fmt.Errorf("%w: set EMBEDDED_NATS_ADDR to another address, or NATS_URL to the server that is there", err)
	}
	return l.Close()
}

func start(c Config) (*server.Server, error) {
	host, number, _ := net.SplitHostPort(c.Addr) // no error: checkFree has listened there
	port, _ := strconv.Atoi(number)
	options := &server.Options{
		ServerName:    "webhook-bridge",
		Host:          host,
		Port:          cmp.Or(port, server.RANDOM_PORT),
		JetStream:     true,
		StoreDir:      c.Dir,
		SyncAlways:    true,
		MaxPayload:    maxPayload,
		Username:      c.User,
		Password:      string(c.Password.Key()),
		Authorization: string(c.Token.Key()),
		NoSigs:        true, // the bridge handles signals
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	logger := &logger{log: c.Log.Named("nats-server").WithOptions(zap.AddCallerSkip(1)).Sugar()}
	s.SetLoggerV2(logger, false, false, false)
	s.Start() // returns at once
	if fatal := logger.fatal.Load(); fatal != nil {
		err = *fatal
	} else if !s.ReadyForConnections(readyTimeout) {
		err = fmt.Errorf("not ready after %s", readyTimeout)
	}
	if err != nil {
		s.Shutdown()
		return nil, err
	}
	return s, nil
}

// URL returns the URL for clients.
func (s *Server) URL() string { return s.server.ClientURL() }

// Stop shuts the server down and waits until its store is closed or the context ends. Nothing is lost if the
// process ends before that, because all of the store is on disk.
func (s *Server) Stop(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		_ = s.lock.Close()
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		return errors.New("the embedded nats-server is still closing its store")
	}
}

// logger writes the server's log to ours. The server's notices are debug messages.
type logger struct {
	log   *zap.SugaredLogger
	fatal atomic.Pointer[error]
}

// Noticef skips empty lines.
func (l *logger) Noticef(format string, v ...any) {
	if text := strings.TrimSpace(fmt.Sprintf(format, v...)); text != "" {
		l.log.Debug(text)
	}
}

func (l *logger) Warnf(format string, v ...any) { l.log.Warnf(format, v...) }

const remedy = "free disk space or replace the disk, then restart the bridge: until then events wait in the spool"

// clientError matches an error that a client has caused, such as a wrong password. Anybody who reaches the
// port can cause any number of them, each with 4 KB of text.
var clientError = regexp.MustCompile(`^\S+ - cid:\d+ - `)

// Errorf adds the remedy to an error that doesn't pass by itself. After a failed write, the server stores
// nothing more in the stream, even if the disk has room again (stream.go, setWriteErr). Errors that clients
// have caused are debug messages.
func (l *logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	lower := strings.ToLower(text)
	switch {
	case clientError.MatchString(text):
		l.log.Debug(text)
	case strings.Contains(lower, "critical write error"), strings.Contains(lower, "failed to store a msg"):
		l.log.Errorw(text, "remedy", remedy)
	default:
		l.log.Error(text)
	}
}

func (l *logger) Debugf(format string, v ...any) { l.log.Debugf(format, v...) }
func (l *logger) Tracef(string, ...any)          {} // traces hold payloads

// Fatalf keeps the error for Start instead of ending the program.
func (l *logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.fatal.Store(&err)
}
