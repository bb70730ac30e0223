package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// link holds the state of the connection, so that nobody needs to call nats.go for it. nats.go
// holds its lock while it dials and shakes hands, which takes seconds if a server is silent.
type link struct {
	log     *zap.Logger
	onUp    func()
	onLost  func() // the connection is lost, and with it outstanding acknowledgements
	onDead  func() // nats.go has given up and never connects again
	ctx     context.Context
	cancel  context.CancelFunc
	server  Server
	lookUp  lookUp
	silent  string      // the address of the last failed handshake; only Dial uses it
	opened  atomic.Bool // dialling is allowed
	dialled atomic.Bool // dialling has started
	closing atomic.Bool

	nc      atomic.Pointer[nats.Conn]
	current atomic.Pointer[conn] // the last one dialled; nil while dialling
	up      atomic.Pointer[conn] // the last one on which nats.go was connected
	inside  atomic.Int64         // publishing calls in nats.go now

	lastError atomic.Pointer[error] // why there is no connection
	ended     atomic.Pointer[error] // the server's reason for ending the connection, which arrives before the end
	noInbox   atomic.Pointer[error] // our account may not subscribe to the inbox
	away      atomic.Bool           // the loss was logged, or there was no connection yet
	logged    logDedup
	forbidden forbidden
}

func newLink(log *zap.Logger, onUp, onLost, onDead func()) *link {
	l := &link{log: log, onUp: onUp, onLost: onLost, onDead: onDead, lookUp: net.DefaultResolver.LookupHost}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.away.Store(true)
	return l
}

func (l *link) isUp() bool { return l.connection() != nil }

// connection returns the connection that is up; nil if there is none.
func (l *link) connection() *conn {
	if c := l.up.Load(); c != nil && c.alive.Err() == nil && c == l.current.Load() {
		return c
	}
	return nil
}

// ready returns nil while there is a connection.
func (l *link) ready() error {
	if l.isUp() {
		return nil
	}
	if cause := l.lastError.Load(); cause != nil {
		return fmt.Errorf("%w: NATS is not connected: %w", ErrUnavailable, *cause)
	}
	return fmt.Errorf("%w: NATS is not connected", ErrUnavailable)
}

// open returns nil while messages are accepted: there is a connection, and stop was not called.
func (l *link) open() error {
	if l.closing.Load() {
		return fmt.Errorf("%w: closing", ErrUnavailable)
	}
	return l.ready()
}

// enter returns nil while there is a connection; leave must follow. In between nats.go doesn't
// dial, so it may be called. This also holds after stop: accepted messages are still sent.
func (l *link) enter() error {
	l.inside.Add(1)
	err := l.ready()
	if err != nil {
		l.inside.Add(-1)
	}
	return err
}

func (l *link) leave() { l.inside.Add(-1) }

// waitOutside waits until every call that has entered has left. The caller must have prevented new
// ones.
func (l *link) waitOutside() {
	for deadline := time.Now().Add(maxInside); l.inside.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// stop refuses new messages and ends dialling and handshakes, for which closing nats.go would wait.
func (l *link) stop() {
	l.closing.Store(true)
	l.cancel()
	if c := l.current.Load(); c != nil && !l.isUp() {
		_ = c.Close()
	}
	l.waitOutside()
}

// handlers returns the options by which nats.go reports events. Each event is logged once; an
// unreachable server is logged again when the reason changes.
func (l *link) handlers() []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(l.connected),
		nats.ReconnectHandler(l.connected),
		nats.DisconnectErrHandler(l.disconnected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.unreachable(err) }),
		nats.CustomReconnectDelay(l.delay),
		nats.ErrorHandler(l.asyncError),
		nats.LameDuckModeHandler(func(*nats.Conn) {
			l.log.Info("NATS server is shutting down, another one will be used")
		}),
		nats.ClosedHandler(func(nc *nats.Conn) {
			if l.closing.Load() {
				return
			}
			l.log.Error("connection to NATS was closed for good, opening another", zap.Error(nc.LastError()))
			l.onDead()
		}),
	}
}

// connected may be called late, after this connection was lost or replaced.
func (l *link) connected(nc *nats.Conn) {
	c := l.current.Load() // first: the calls to nats.go wait while it dials the next one
	server, name, version := nc.ConnectedAddr(), nc.ConnectedServerName(), nc.ConnectedServerVersion()
	if nc.IsConnected() {
		l.lastError.Store(nil)
		l.up.Store(c)
	}
	l.logged.clear()
	l.forbidden.clear()
	l.away.Store(false)
	l.log.Info("connected to NATS", zap.String("server", server), zap.String("name", name), zap.String("version", version))
	if tooOld(version) {
		l.log.Warn("NATS server is older than 2.10 and not supported: upgrade it; commands that select several endpoints or events don't work", zap.String("version", version))
	}
	l.onUp()
}

func (l *link) disconnected(nc *nats.Conn, err error) {
	if l.closing.Load() {
		return
	}
	if ended := l.ended.Swap(nil); ended != nil {
		err = *ended
	}
	if err == nil {
		err = nc.LastError()
	}
	if err == nil {
		err = errors.New("the connection was closed")
	}
	l.lastError.Store(&err)
	l.away.Store(true)
	l.warn("disconnected from NATS", err)
}

// warn logs why there is no connection, as an error if somebody must act.
func (l *link) warn(message string, err error) {
	level, fields := zap.WarnLevel, []zap.Field{zap.Error(err)}
	if remedy := l.server.remedy(err); remedy != "" {
		level, fields = zap.ErrorLevel, append(fields, zap.String("remedy", remedy))
	}
	l.log.Log(level, message, fields...)
}

// unreachable notes and logs a failed attempt to connect.
func (l *link) unreachable(err error) {
	if l.closing.Load() || errors.Is(err, errNotOpened) {
		return
	}
	l.lastError.Store(&err)
	if l.logged.isNew(err) {
		l.warn("NATS can't be reached, still trying", err)
	}
}

// delay returns how long nats.go waits before it tries all servers again. Only here does a failed
// handshake show, such as one with a wrong certificate.
func (l *link) delay(int) time.Duration {
	if nc := l.nc.Load(); nc != nil {
		if err := nc.LastError(); err != nil {
			l.unreachable(err)
		}
	}
	if !l.dialled.Load() {
		return time.Millisecond
	}
	return reconnectWait + rand.N(reconnectWait) //nolint:gosec // nobody gains by guessing it
}

// asyncError notes and logs an error that belongs to no call.
func (l *link) asyncError(_ *nats.Conn, s *nats.Subscription, err error) {
	fields := []zap.Field{zap.Error(err)}
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		l.forbidden.note(err)
		if denied := l.server.noInbox(err); denied != nil {
			l.noInbox.Store(&denied)
			fields = append(fields, zap.String("remedy", denied.Error()))
		}
	case errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAccountAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		l.ended.Store(&err) // the connection then ends with a mere EOF
	}
	if s != nil {
		fields = append(fields, zap.String("subscription", s.Subject))
	}
	switch {
	case l.away.Load():
		l.unreachable(err)
	case !l.isUp(): // disconnected will log it
	case !l.logged.isNew(err): // a forbidden subject is reported at each publish
	case isLookup(err): // the smallest account does without; the relay logs what that means
		l.log.Info(lacksPermission, fields...)
	case errors.Is(err, nats.ErrPermissionViolation):
		l.log.Error(lacksPermission, fields...)
	default:
		l.log.Warn("NATS reports an error", fields...)
	}
}

const lacksPermission = "NATS account lacks a permission: grant it, see docs/operations.md"

const (
	maxInside     = 500 * time.Millisecond // a publish that needs no dialling ends when the connection is closed
	reconnectWait = 250 * time.Millisecond // plus a random part of the same size
)
