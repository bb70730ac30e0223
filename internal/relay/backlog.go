package relay

import (
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// backlog is a time in which events go to the spool. It is kept for the log.
type backlog struct {
	since     time.Time // zero: there is none now
	log       *time.Timer
	alarmed   bool // it was logged that nothing can be delivered
	delivered int
}

// logAfter is how long a backlog lasts before it is logged: a single slow message isn't worth a line.
const logAfter = 100 * time.Millisecond

// beginBacklog begins a backlog if there is none. A timer logs it, because a round may wait for its
// acknowledgements for seconds.
func (f *forwarder) beginBacklog(first spool.Record) {
	if b := &f.backlog; b.since.IsZero() {
		b.since = time.Now()
		if f.kind != publish.Refused { // these also wait for the next check of the quarantine's stream
			b.log = time.AfterFunc(logAfter, func() { f.logBacklog(first.Arrived) })
		}
	}
}

func (f *forwarder) logBacklog(oldest time.Time) {
	if f.ctx.Err() != nil {
		return
	}
	fields := []zap.Field{zap.Stringer("kind", f.kind), zap.Int64("events", f.Spool.Len(f.kind)), zap.Time("oldest", oldest)}
	if err := f.NotDirect(f.kind, nil); err != nil {
		fields = append(fields, zap.NamedError("cause", err))
	}
	f.Log.Warn("events wait in the spool; new ones go there too until it is empty", fields...)
}

// endBacklog ends the backlog: the spool is empty.
func (f *forwarder) endBacklog() {
	b := &f.backlog
	if b.since.IsZero() || !f.breakers[f.kind].isClosed() { // with an open breaker the next events are spooled too
		return
	}
	if isLogged := b.log != nil && !b.log.Stop(); isLogged || b.alarmed {
		f.Log.Info("spool is empty, events go to NATS directly", zap.Stringer("kind", f.kind),
			zap.Int("delivered", b.delivered), zap.Duration("took", time.Since(b.since)), zap.Int64("set_aside", f.Spool.Stats().SetAside))
	}
	*b = backlog{}
	f.endFailures()
}

// refusals holds the times at which a record was last logged as set aside, by cause. While a subject is
// full each of its events is refused, so at most one a minute is logged; retrySetAside logs their number.
type refusals map[publish.Cause]time.Time

const refusalsEvery = time.Minute

func (l refusals) report(log *zap.Logger, kind publish.Kind, r spool.Record, err error) {
	cause := publish.CauseOf(err)
	if time.Since(l[cause]) < refusalsEvery {
		return
	}
	l[cause] = time.Now()
	fields := []zap.Field{
		zap.Stringer("kind", kind), zap.String("subject", r.Subject), zap.String("id", r.ID), zap.Int("bytes", len(r.Data)), zap.Error(err),
	}
	if remedy := cause.Remedy(); remedy != "" {
		fields = append(fields, zap.String("remedy", remedy))
	}
	log.Error("message is set aside in the spool: NATS refuses it; it is retried every minute, and others don't wait for it", fields...)
}
