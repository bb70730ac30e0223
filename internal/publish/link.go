package publish

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// link is the state of the connection, as its handlers tell it. Who wants to know reads atomics:
// asking nats.go itself would mean to wait for a lock that it holds while it dials.
type link struct {
	log     *zap.Logger
	onUp    func()
	onDown  func()
	up      atomic.Bool
	closing atomic.Bool

	maxPayload atomic.Int64
	lastError  atomic.Pointer[error] // why it isn't up
}

// ready returns nil while there is a connection.
func (l *link) ready() error {
	if l.up.Load() {
		return nil
	}
	if cause := l.lastError.Load(); cause != nil && *cause != nil {
		return fmt.Errorf("%w: NATS is not connected: %w", durable.ErrUnavailable, *cause)
	}
	return fmt.Errorf("%w: NATS is not connected", durable.ErrUnavailable)
}

// Dial makes link a nats.CustomDialer. nats.go dials with its connection locked, so that it is known
// here, before it happens, that whoever calls into it would have to wait.
func (l *link) Dial(network, address string) (net.Conn, error) {
	l.up.Store(false)
	return (&net.Dialer{Timeout: dialTimeout}).Dial(network, address)
}

// handlers are the options by which nats.go tells what happens. Each event is logged once; a server
// that can't be reached is when that begins and when the reason changes.
func (l *link) handlers() []nats.Option {
	connected := func(nc *nats.Conn) {
		l.maxPayload.Store(nc.MaxPayload())
		l.lastError.Store(nil)
		l.up.Store(true)
		l.log.Info("connected to NATS", zap.String("server", nc.ConnectedUrlRedacted()), zap.String("name", nc.ConnectedServerName()), zap.String("version", nc.ConnectedServerVersion()))
		l.onUp()
	}
	return []nats.Option{
		nats.ConnectHandler(connected),
		nats.ReconnectHandler(connected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			l.up.Store(false)
			l.onDown()
			if l.closing.Load() {
				return
			}
			if err == nil {
				err = errors.New("the connection was closed")
			}
			l.lastError.Store(&err)
			l.log.Warn("disconnected from NATS", zap.Error(err))
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			known := l.lastError.Swap(&err)
			if known == nil || (*known).Error() != err.Error() {
				l.log.Warn("NATS can't be reached, trying on", zap.Error(err))
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			fields := []zap.Field{zap.Error(err)}
			if s != nil {
				fields = append(fields, zap.String("subscription", s.Subject))
			}
			if errors.Is(err, nats.ErrPermissionViolation) {
				l.log.Error("NATS account lacks a permission: grant it, see docs/operations.md", fields...)
				return
			}
			l.log.Warn("NATS reports an error", fields...)
		}),
		nats.LameDuckModeHandler(func(*nats.Conn) {
			l.log.Info("NATS server is shutting down, another one will be used")
		}),
		nats.ClosedHandler(func(*nats.Conn) {
			l.up.Store(false)
			if !l.closing.Load() {
				l.log.Error("connection to NATS is closed for good")
			}
		}),
	}
}

const dialTimeout = 2 * time.Second
