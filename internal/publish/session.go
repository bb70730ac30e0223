package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// session is one connection to NATS. When it is lost the publisher opens another: nats.go doesn't
// reconnect, because it holds its lock while it dials and shakes hands, and could send a message on
// a later connection, after its sender has been refused.
type session struct {
	*conn
	nc *nats.Conn
	js jetstream.JetStream

	log    *zap.Logger
	denied stream.Denied // the rights that our account lacks
	ended  error         // why the server has ended the connection; valid once closed is closed
	closed chan struct{} // closed once nats.go has called all handlers
}

const (
	reconnectWait = 250 * time.Millisecond // between two attempts, plus a random part of the same size
	logInterval   = time.Minute            // between two log lines about failed attempts
)

// run keeps a session open until the publisher closes.
func (p *Publisher) run() {
	d := &dialer{ctx: p.ctx}
	logged := make(map[string]time.Time) // by remedy: when a loss or a failed attempt was logged since the last session began
	for p.ctx.Err() == nil {
		began := time.Now()
		if s, err := p.open(d); err != nil {
			p.notConnected(err)
			if remedy := p.config.Server.remedy(err); time.Since(logged[remedy]) > logInterval {
				p.warn("NATS can't be reached, still trying", err)
				logged[remedy] = time.Now()
			}
		} else {
			clear(logged)
			if d.failed != nil {
				p.config.Log.Info("address of a NATS server can't be reached, another one is used", zap.Error(d.failed))
			}
			p.serve(s)
			logged[p.config.Server.remedy(s.reason())] = time.Now() // serve has logged that the connection was lost
			d.others = nil
			for _, url := range s.nc.DiscoveredServers() {
				_, address, _ := strings.Cut(url, "://")
				d.others = append(d.others, address)
			}
		}
		if time.Since(began) < time.Second { // a session may also end at once
			select {
			case <-p.ctx.Done():
			case <-time.After(reconnectWait + rand.N(reconnectWait)): //nolint:gosec // nobody gains by guessing it
			}
		}
	}
}

// open opens a session.
func (p *Publisher) open(d *dialer) (*session, error) {
	s := &session{log: p.config.Log, closed: make(chan struct{})}
	d.failed = nil
	nc, err := p.config.Server.connect(d,
		nats.ErrorHandler(s.asyncError), nats.ClosedHandler(func(*nats.Conn) { close(s.closed) }),
		nats.LameDuckModeHandler(func(*nats.Conn) { s.log.Info("NATS server is shutting down") }),
	)
	if err != nil {
		if errors.Is(err, nats.ErrNoServers) && d.failed != nil {
			err = d.failed
		}
		if d.last != nil { // with several servers it must be clear which one this is about
			if at := d.last.RemoteAddr().String(); !strings.Contains(err.Error(), at) {
				err = fmt.Errorf("%s: %w", at, err)
			}
		}
		return nil, err
	}
	s.conn, s.nc, s.js, d.last = d.last, nc, p.config.Server.JetStream(nc), nil
	if _, err := nc.Subscribe(p.inbox+".*", p.receive); err != nil { // the session has ended already
		nc.Close()
		<-s.closed
		return nil, s.reason()
	}
	return s, nil
}

// serve makes the session the current one, and returns once the session has ended.
func (p *Publisher) serve(s *session) {
	p.lastError.Store(nil)
	p.session.Store(s)
	if p.ctx.Err() != nil { // Close may have run before the Store above
		_ = s.Close()
	}
	version := s.nc.ConnectedServerVersion()
	s.log.Info("connected to NATS", zap.String("server", s.nc.ConnectedAddr()),
		zap.String("name", s.nc.ConnectedServerName()), zap.String("version", version))
	if tooOld(version) {
		s.log.Warn("NATS server is older than 2.10 and not supported: upgrade it", zap.String("version", version))
	}
	var checks sync.WaitGroup
	for _, m := range p.streams {
		checks.Go(func() { m.run(s) })
	}
	<-s.alive.Done()
	p.acks.fail(nats.ErrDisconnected)
	s.nc.Close()
	<-s.closed
	err := s.reason()
	p.notConnected(err)
	p.warn("disconnected from NATS", err)
	checks.Wait()
}

// reason returns why the session has ended.
func (s *session) reason() error {
	err := context.Cause(s.alive)
	switch last := s.nc.LastError(); {
	case s.ended != nil:
		return s.ended // the connection itself only reports EOF
	case errors.Is(err, net.ErrClosed) && last != nil:
		return last // nats.go has closed the connection
	}
	return err
}

// connected returns the session that is up, or why there is none.
func (p *Publisher) connected() (*session, error) {
	if s := p.session.Load(); s != nil && s.alive.Err() == nil {
		return s, nil
	}
	if err := p.lastError.Load(); err != nil {
		return nil, *err
	}
	return nil, errNotConnected
}

var errNotConnected = errors.New("NATS is not connected")

// notConnected notes why there is no connection. Until there is one, each message gets this error.
func (p *Publisher) notConnected(cause error) {
	err := fmt.Errorf("%w: %w", errNotConnected, cause)
	p.lastError.Store(&err)
}

// warn logs why there is no connection, as an error if somebody must act.
func (p *Publisher) warn(message string, err error) {
	if p.ctx.Err() != nil {
		return
	}
	level, fields := zap.WarnLevel, []zap.Field{zap.Error(err)}
	if remedy := p.config.Server.remedy(err); remedy != "" {
		level, fields = zap.ErrorLevel, append(fields, zap.String("remedy", remedy))
	}
	p.config.Log.Log(level, message, fields...)
}

// asyncError handles an error that nats.go returns from no call.
func (s *session) asyncError(nc *nats.Conn, sub *nats.Subscription, err error) {
	switch {
	case slices.Contains([]error{nats.ErrAuthExpired, nats.ErrAccountAuthExpired, nats.ErrAuthRevoked, nats.ErrAuthorization}, err):
		s.ended = err
	case errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(strings.ToLower(err.Error()), "for subscription"):
		nc.Close() // no answer can reach us
	case errors.Is(err, nats.ErrPermissionViolation):
		s.logDenied(err)
	case errors.As(err, new(net.Error)): // the session ends, and that is logged
	case errors.Is(err, nats.ErrSlowConsumer) && sub.Type() == nats.ChanSubscription: // a look-up reads the dropped messages again
	default:
		s.log.Warn("NATS reports an error", zap.Error(err))
	}
}

// logDenied notes and logs a missing permission, once for each subject.
func (s *session) logDenied(err error) {
	right, isNew := s.denied.Note(err)
	level := zap.ErrorLevel
	if strings.Contains(right, ".CONSUMER.") { // the right is optional, and the relay logs what is missing without it
		level = zap.InfoLevel
	}
	if isNew {
		s.log.Log(level, "NATS account lacks a permission: grant it, see docs/operations.md", zap.Error(err))
	}
}

// forbiddenFor is how long nothing is sent on a subject after the server has denied it. Then the subject is
// tried again: the right may have been granted.
const forbiddenFor = 10 * time.Second

var errForbidden = errors.New("our account may not publish on this subject")

// isForbidden reports whether the server has denied publishing on the subject.
func (s *session) isForbidden(subject string) bool {
	return s.denied.Publishing(subject, time.Now().Add(-forbiddenFor))
}
