package publish

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// monitor watches over the stream: on every connection, and whenever a publish says that something is
// wrong with it, it is checked, and made when it is missing, again and again until it is as it must
// be.
type monitor struct {
	stream Stream
	log    *zap.Logger

	wanted    chan struct{} // a check is wanted; holds at most one
	epoch     atomic.Int64  // counts the connections
	verified  atomic.Int64  // the epoch in which the stream was found as it must be; 0: it is not
	window    atomic.Int64  // how long the stream remembers ids, as a time.Duration; 0: unknown
	limit     atomic.Int64  // how large a message may be: what the server takes, or the stream if that is less; 0: unknown
	lastError atomic.Pointer[error]
	logged    []string // the differences that were logged last

	cancel context.CancelFunc
	done   sync.WaitGroup
}

const (
	checkTimeout  = 5 * time.Second
	firstRetry    = 250 * time.Millisecond
	longestRetry  = 5 * time.Second
	checkInterval = time.Minute // somebody may change or remove the stream while nothing is published
)

var errUnchecked = errors.New("the stream has not been checked yet")

func newMonitor(stream Stream, log *zap.Logger) *monitor {
	m := &monitor{stream: stream, log: log, wanted: make(chan struct{}, 1)}
	m.epoch.Store(1)
	return m
}

// start begins to look after the stream, by the JetStream that js returns. A check may have been
// asked for before.
func (m *monitor) start(js func() jetstream.JetStream) {
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.done.Go(func() { m.run(ctx, js) })
}

func (m *monitor) stop() {
	m.cancel()
	m.done.Wait()
}

// check asks for a check and doesn't wait for it.
func (m *monitor) check() {
	select {
	case m.wanted <- struct{}{}:
	default: // one is asked for already
	}
}

// forget says that nothing is known of the stream any more, whatever a check on the lost connection
// may still find.
func (m *monitor) forget() { m.epoch.Add(1) }

// ready returns nil while the stream is known to be as it must be.
func (m *monitor) ready() error {
	if m.verified.Load() == m.epoch.Load() {
		return nil
	}
	if err := m.lastError.Load(); err != nil {
		return *err
	}
	return errUnchecked
}

// run checks when asked to, and after a failure again by itself.
func (m *monitor) run(ctx context.Context, js func() jetstream.JetStream) {
	wait := firstRetry
	timer := time.NewTimer(checkInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wanted:
		case <-timer.C:
			if !js().Conn().IsConnected() {
				timer.Reset(longestRetry) // the next connection asks for a check
				continue
			}
		}
		if m.look(ctx, js()) {
			timer.Reset(checkInterval)
			wait = firstRetry
		} else {
			timer.Reset(wait)
			wait = min(2*wait, longestRetry)
		}
		// A thousand publishes that fail together ask for one check, not for a thousand.
		select {
		case <-ctx.Done():
			return
		case <-time.After(firstRetry):
		}
	}
}

// look checks once.
func (m *monitor) look(ctx context.Context, js jetstream.JetStream) bool {
	epoch := m.epoch.Load()
	attempt, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := m.stream.ensure(attempt, js)
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil:
		m.succeeded(epoch, found, js.Conn().MaxPayload())
		return true
	case js.Conn().IsConnected(): // otherwise the connection is what failed, and it says so itself
		m.failed(err)
	}
	return false
}

func (m *monitor) failed(err error) {
	m.verified.Store(0)
	if known := m.lastError.Swap(&err); known == nil || (*known).Error() != err.Error() {
		m.log.Error("stream is not ready", zap.Error(err))
	}
}

func (m *monitor) succeeded(epoch int64, found found, maxPayload int64) {
	if size := int64(found.config.MaxMsgSize); size > 0 {
		maxPayload = min(maxPayload, size)
	}
	m.limit.Store(maxPayload)
	m.window.Store(int64(found.config.Duplicates))
	m.lastError.Store(nil)
	if !slices.Equal(found.differences, m.logged) && len(found.differences) > 0 {
		m.log.Warn("stream differs from the configuration and was left so", zap.String("stream", m.stream.Name), zap.Strings("differences", found.differences))
	}
	m.logged = found.differences
	if found.made {
		m.log.Info("stream was missing and has been made", zap.String("stream", m.stream.Name))
	}
	if m.verified.Swap(epoch) != epoch {
		c := found.config
		m.log.Info("stream is ready", zap.String("stream", c.Name), zap.Strings("subjects", c.Subjects), zap.Int("replicas", c.Replicas), zap.Duration("duplicates", c.Duplicates))
	}
}
