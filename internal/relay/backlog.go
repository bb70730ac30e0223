package relay

import (
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// backlog is the time during which records wait in the spool, for the log.
type backlog struct {
	since     time.Time // zero while there is none
	delivered int
}

// began is called while there are records, with the first one.
func (f *forwarder) began(first spool.Record) {
	if !f.backlog.since.IsZero() {
		return
	}
	f.backlog = backlog{since: f.Now()}
	fields := []zap.Field{zap.Stringer("kind", f.kind), zap.Int64("events", f.Spool.Len(f.kind)), zap.Time("oldest", first.Arrived)}
	if err := f.Publisher.Ready(f.kind); err != nil {
		fields = append(fields, zap.NamedError("cause", err))
	}
	f.Log.Warn("events wait in the spool, new ones too, until it is empty", fields...)
}

// emptied is called while there are none.
func (f *forwarder) emptied() {
	if f.backlog.since.IsZero() {
		return
	}
	f.Log.Info("spool is empty, events go to NATS directly", zap.Stringer("kind", f.kind),
		zap.Int("delivered", f.backlog.delivered), zap.Duration("took", f.Now().Sub(f.backlog.since)), zap.Int64("set_aside", f.Spool.Stats().Aside))
	f.backlog = backlog{}
	f.cause.Store(nil)
	f.failures = 0
}
