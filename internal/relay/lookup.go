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
		if IsRemembered(r.Arrived, now, l.Reach, l.Publisher.Window(l.kind)) {
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

// IsRemembered says whether a stream with that duplicate window still knows the id of any copy that it has
// stored of a message that arrived then, however much earlier within reach that may have been.
func IsRemembered(arrived, now time.Time, reach, window time.Duration) bool {
	age := now.Sub(arrived)
	return age >= 0 && age+reach+clockMargin < window
}

// FirstCopy is when the first copy of a message that arrived then can have been stored; zero where there is
// no telling, because a clock was set back.
func FirstCopy(arrived, now time.Time, reach time.Duration) time.Time {
	if arrived.After(now) {
		return time.Time{}
	}
	return arrived.Add(-reach - clockMargin)
}

// covers says whether the last scan has an answer for the record: it looked for it, far enough back, and
// the stream remembers what came since.
func (l *lookup) covers(r spool.Record, now time.Time) bool {
	return r.Seq <= l.upTo && !FirstCopy(r.Arrived, l.scanned, l.Reach).Before(l.since) && now.Sub(l.scanned) < l.Publisher.Window(l.kind)/2
}

// scan reads what the stream has stored since the oldest record can first have been.
func (l *lookup) scan(ctx context.Context, old []spool.Record, now time.Time) error {
	since := FirstCopy(old[0].Arrived, now, l.Reach)
	for _, r := range old {
		if first := FirstCopy(r.Arrived, now, l.Reach); first.Before(since) {
			since = first
		}
	}
	upTo := l.Spool.Last()
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
	l.scanned, l.since, l.upTo, l.found = now, since, upTo, found
	return nil
}
