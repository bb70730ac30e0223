package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// lookup finds out which of the spool's messages of one kind the stream has stored already. Within its
// duplicate window a stream recognises copies itself. A message that has waited for longer may be a copy of
// a stored one: an acknowledgement was lost, or the vendor sent the event again, to another instance. One
// scan of the stream serves all waiting messages (ADR 9).
type lookup struct {
	*Relay
	kind publish.Kind

	scanned    time.Time    // when the last scan began; zero: its result isn't valid
	since      time.Time    // the scan has read the messages that were stored since then
	upTo       uint64       // the highest record number when the scan began
	epoch      int64        // the publisher's then
	found      stream.Found // the scan's result
	unreadable bool         // the stream can't be read, or scans have failed for too long
	failing    time.Time    // when a scan failed first since the last successful one; zero: none has
}

const (
	// clockMargin allows for the difference between our clock and NATS', and for slow acknowledgements.
	clockMargin = time.Minute
	scanBound   = 10 * time.Minute
	// lookupPatience is how long messages wait while scans fail. They are safe in the spool, and JetStream
	// may take minutes to get a quorum again or to bring a replica up to date. But scans that never
	// succeed must not block events for ever.
	lookupPatience = time.Hour
)

// stored returns the ids (and sequence numbers) of messages that are in the stream already, if it may have
// forgotten any of the records. After an error the records must wait.
func (l *lookup) stored(ctx context.Context, records []spool.Record) (map[string]uint64, error) {
	now, window := l.Now(), l.Publisher.Window(l.kind)
	mayBeForgotten := func(r spool.Record) bool { return l.mayBeForgotten(r, now, window) }
	if !slices.ContainsFunc(records, mayBeForgotten) {
		return nil, nil
	}
	// The last scan is valid as long as the stream recognises all copies that were stored since, and was always
	// ready: else it may have been restored from an older copy. It covers a record that was in the spool then,
	// unless a copy may have been stored before the time since which it has read.
	age := now.Sub(l.scanned)
	isValid := age >= 0 && age < window/2 && (l.unreadable || l.epoch == l.Publisher.Epoch(l.kind))
	needsScan := func(r spool.Record) bool {
		isCovered := r.Seq <= l.upTo && !firstCopy(r.Arrived, l.scanned, l.Reach).Before(l.since)
		return mayBeForgotten(r) && !isCovered
	}
	if !isValid || slices.ContainsFunc(records, needsScan) {
		if err := l.scan(ctx, records, now); err != nil {
			return nil, &publish.Error{Cause: publish.LookupFailed, Err: err}
		}
	}
	if l.unreadable {
		return nil, nil
	}
	info, err := l.Publisher.Info(ctx, l.kind)
	if err == nil && !l.found.IsOf(info) { // the result is of the stream that was read, not of this one
		err = fmt.Errorf("looking up: %w", errOtherStream)
	}
	if err != nil {
		l.scanned = time.Time{}
		return nil, &publish.Error{Cause: publish.LookupFailed, Err: err}
	}
	return l.found.IDs, nil // for all records: a scan may take minutes, in which the stream forgets more
}

// mayBeForgotten reports whether the stream may have stored a copy of the record and forgotten its id.
// While an earlier process ran, the window may have been shorter.
func (l *lookup) mayBeForgotten(r spool.Record, now time.Time, window time.Duration) bool {
	return r.Seq <= l.Spool.Earlier() || !isRemembered(r.Arrived, now, l.Reach, window)
}

// isUnsure reports whether the stream may have a copy of a record that was published without a look-up.
func (l *lookup) isUnsure(r spool.Record) bool {
	return l.unreadable && l.mayBeForgotten(r, l.Now(), l.Publisher.Window(l.kind))
}

var errOtherStream = errors.New("the stream was deleted and created again, or restored, since the look-up")

// isRemembered reports whether a stream with that duplicate window still recognises every copy of a
// message by its time of arrival. A copy may have been stored up to reach earlier.
func isRemembered(arrived, now time.Time, reach, window time.Duration) bool {
	age := now.Sub(arrived)
	return age >= 0 && age+reach+clockMargin < window
}

// firstCopy returns the earliest time at which a copy of a message may have been stored; zero, for unknown,
// if the message arrived after now: the clock was set back.
func firstCopy(arrived, now time.Time, reach time.Duration) time.Time {
	if arrived.After(now) {
		return time.Time{}
	}
	return arrived.Add(-reach - clockMargin)
}

// scan reads the ids of all messages that the stream has stored since a copy of any record may have been.
func (l *lookup) scan(ctx context.Context, records []spool.Record, now time.Time) error {
	since := now
	for _, r := range records {
		if first := firstCopy(r.Arrived, now, l.Reach); first.Before(since) {
			since = first
		}
	}
	upTo, epoch := l.Spool.Last(), l.Publisher.Epoch(l.kind)
	ctx, cancel := context.WithTimeout(ctx, scanBound)
	defer cancel()
	found, err := l.Publisher.Stored(ctx, l.kind, since, func(id string) bool { return l.Spool.Holds(l.kind, id) })
	switch kind := zap.Stringer("kind", l.kind); {
	case err == nil:
		l.Log.Info("looked up in the stream which events are stored already", kind, zap.Time("since", since),
			zap.Int("stored", len(found.IDs)), zap.Duration("took", l.Now().Sub(now)))
		l.failing = time.Time{}
	case errors.Is(err, stream.ErrUnreadable):
		if !l.unreadable {
			l.Log.Warn("older spooled events can't be looked up in the stream: they are published, and counted as possible duplicates",
				kind, zap.Error(err))
		}
	default:
		l.failing = cmp.Or(l.failing, l.Now())
		if l.Now().Sub(l.failing) < lookupPatience {
			return err
		}
		if !l.unreadable {
			l.Log.Error("looking up older spooled events in the stream has failed for an hour: they are published, and counted as possible duplicates",
				kind, zap.Error(err))
		}
	}
	l.unreadable = err != nil
	l.scanned, l.since, l.upTo, l.epoch, l.found = now, since, upTo, epoch, found
	return nil
}
