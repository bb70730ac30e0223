package relay

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// lookup finds out which of the records that wait are stored already, where the stream may have
// forgotten their ids. Within its duplicate window it recognises a copy itself; a record that has
// waited longer may be a copy of one that it stored before: an acknowledgement was lost, or the vendor
// sent it again, to another instance. One scan of the stream serves a whole backlog (ADR 9).
type lookup struct {
	*Relay
	kind     durable.Kind
	scanned  time.Time // when the last scan began
	since    time.Time // from when on it read
	upTo     uint64    // the highest number there was then
	found    map[string]bool
	noRights bool
	failures int
}

const (
	// clockMargin is how far our clock and NATS' may be apart, and how long an acknowledgement may take.
	clockMargin = time.Minute
	scanBound   = 10 * time.Minute
	// mostFailures is after how many scans that failed it is published all the same: a scan must not
	// hold up events for ever.
	mostFailures = 5
)

// answer is what is known of the records that were looked up.
type answer struct {
	stored map[string]bool // by id: it is in the stream already
	unsure map[uint64]bool // by number: it may be, but nobody can say
}

// ask looks up those of the records that the stream may have forgotten. An error means that they must
// wait.
func (l *lookup) ask(ctx context.Context, records []spool.Record) (answer, error) {
	now := l.Now()
	var old []spool.Record
	covered := true
	for _, r := range records {
		if l.isRemembered(r, now) {
			continue
		}
		old = append(old, r)
		covered = covered && l.covers(r, now)
	}
	if len(old) == 0 {
		return answer{}, nil
	}
	if !covered {
		if err := l.scan(ctx, old, now); err != nil {
			return answer{}, err
		}
	}
	a := answer{stored: l.found}
	if l.noRights {
		a.unsure = make(map[uint64]bool, len(old))
		for _, r := range old {
			a.unsure[r.Seq] = true
		}
	}
	return a, nil
}

// isRemembered says whether the stream still knows the id of any copy of the record that it has
// stored, however much earlier that may have been.
func (l *lookup) isRemembered(r spool.Record, now time.Time) bool {
	age := now.Sub(r.Arrived)
	return age >= 0 && age+l.Reach+clockMargin < l.Publisher.Window(l.kind)
}

// covers says whether the last scan has an answer for the record: it looked for it, far enough back, and
// the stream remembers what came since.
func (l *lookup) covers(r spool.Record, now time.Time) bool {
	return r.Seq <= l.upTo && !l.from(r, l.scanned).Before(l.since) && now.Sub(l.scanned) < l.Publisher.Window(l.kind)/2
}

// from is when the first copy of the record can have been stored.
func (l *lookup) from(r spool.Record, now time.Time) time.Time {
	if r.Arrived.After(now) { // a clock was set back: no telling
		return time.Time{}
	}
	return r.Arrived.Add(-l.Reach - clockMargin)
}

// scan reads what the stream has stored since the oldest record can first have been.
func (l *lookup) scan(ctx context.Context, old []spool.Record, now time.Time) error {
	since := l.from(old[0], now)
	for _, r := range old {
		if from := l.from(r, now); from.Before(since) {
			since = from
		}
	}
	l.upTo = l.Spool.Last()
	ctx, cancel := context.WithTimeout(ctx, scanBound)
	defer cancel()
	found, err := l.Publisher.Stored(ctx, l.kind, since, func(id string) bool { return l.Spool.Holds(l.kind, id) })
	noRights := errors.Is(err, publish.ErrNoRights)
	if err != nil && !noRights {
		if l.failures++; l.failures < mostFailures || ctx.Err() != nil {
			return &publish.Error{Kind: durable.ErrUnavailable, Cause: publish.LookupFailed, Err: err}
		}
		noRights = true
	}
	if noRights && !l.noRights {
		l.Log.Warn("events that have waited long can't be looked up in the stream: they are published, and counted as possible duplicates; see docs/operations.md", zap.Error(err))
	}
	if err == nil {
		l.Log.Info("looked up in the stream which events are stored already", zap.Stringer("kind", l.kind), zap.Time("since", since),
			zap.Int("stored", len(found)), zap.Duration("took", l.Now().Sub(now)))
	}
	l.noRights, l.failures = noRights, 0
	l.scanned, l.since, l.found = now, since, found
	return nil
}
