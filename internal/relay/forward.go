package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

const (
	// A batch is sent before its acknowledgements are awaited. The first is a single record, to try
	// NATS. Batches grow with each success, so that thousands of events a second are delivered even
	// if an acknowledgement takes two seconds. They stop growing on a slow line.
	maxBatch   = 4096
	firstBatch = 64
	meanBytes  = 4 << 10               // bounds a batch's bytes, together with its number of records
	maxBytes   = 8 << 20               // of a batch
	longRound  = 4 * time.Second       // after a longer one, batches don't grow
	readyCheck = 20 * time.Millisecond // between two tests whether the stream is ready
	firstPause = 50 * time.Millisecond // after a failure
	lastPause  = 2 * time.Second
	// suspectEvery is the number of failures in a row after which later records are tried: NATS may
	// refuse only the first one. That breaks the order, so it is done rarely.
	suspectEvery = 6
)

// forwarder delivers one kind's records from the spool to JetStream, oldest first.
type forwarder struct {
	*Relay
	kind      publish.Kind
	batch     int    // records in a batch
	failures  int    // in a row
	lastTried uint64 // the last record that setAsideIfAtFault has tried since the last success
	lookup    *lookup
	backlog   backlog
	refusals  refusals
	cause     atomic.Value             // the publish.Cause of the last round's failure; "" if it succeeded
	alarms    map[publish.Cause]*alarm // of the failures in a row
}

// alarm is a cause of several failures in a row. Others may alternate with it.
type alarm struct {
	since    time.Time
	isLogged bool
}

func newForwarder(r *Relay, kind publish.Kind) *forwarder {
	return &forwarder{Relay: r, kind: kind, batch: 1, lookup: &lookup{Relay: r, kind: kind}, refusals: make(refusals), alarms: make(map[publish.Cause]*alarm)}
}

// run delivers until the context ends.
func (f *forwarder) run(ctx context.Context) {
	for ctx.Err() == nil {
		records, err := f.Spool.Next(f.kind, 0, f.batch, min(int64(f.batch)*meanBytes, maxBytes))
		switch {
		case err != nil: // the spool has logged it
			pause(ctx, lastPause)
		case len(records) == 0:
			if f.Spool.Len(f.kind) == 0 {
				f.endBacklog()
				f.gates[f.kind].drained()
			}
			select {
			case <-ctx.Done():
			case <-f.Spool.Changes(f.kind):
			case <-time.After(cmp.Or(f.quiet, time.Minute)):
				if f.Publisher.Ready(f.kind) == nil { // after late acknowledgements nothing else closes the breaker
					f.breakers[f.kind].report(true)
				}
			}
		default:
			f.beginBacklog(records[0])
			if f.Publisher.Ready(f.kind) != nil {
				f.batch = 1 // the batch is read again each time
				pause(ctx, readyCheck)
				continue
			}
			f.round(ctx, records)
		}
	}
}

// pause waits for d or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// round publishes a batch, and removes from the spool the records before the first one that failed. A
// record that NATS refuses though it may take others is set aside. A witness is a later record that NATS has
// just taken. It is sent again behind the batch. If NATS takes it again, NATS works, so each record of the
// batch that NATS refuses is set aside.
func (f *forwarder) round(ctx context.Context, records []spool.Record, witnesses ...spool.Record) {
	began := time.Now()
	results := f.deliver(ctx, f.lookup, append(records, witnesses...))
	takesOthers := slices.ContainsFunc(results[len(records):], isTaken)
	f.keepAcked(witnesses, results[len(records):]) // before settle, which forgets one that is also in records
	done := 0                                      // records before the first one that failed
	var failure error
	for failure == nil && done < len(records) {
		switch err := results[done].Err; {
		case err == nil, errors.Is(err, publish.ErrNoRoom): // dropped
			done++
		case errors.Is(err, publish.ErrTooLarge), errors.Is(err, publish.ErrRefused), takesOthers && mayBeFaultOfMessage(err):
			records[done].Reason = err.Error()
			done++
		default:
			failure = err
		}
	}
	settled := f.settle(records[:done], results)
	f.keepAcked(records[settled:], results[settled:])
	switch {
	case settled < done:
		pause(ctx, lastPause)
	case failure == nil:
		f.succeeded(time.Since(began))
	case ctx.Err() == nil:
		f.failed(ctx, records[done], failure)
	}
}

// settle removes records from the beginning of the spool's queue, and sets aside those with a reason.
// results are those of the records. It returns the number of removed records: if the disk fails, not all.
func (f *forwarder) settle(records []spool.Record, results []publish.Result) int {
	if f.Spool.Settle(f.kind, records) != nil { // the spool has logged it
		// A full disk has no room to set a record aside. Removing those before it may make room.
		refused := slices.IndexFunc(records, func(r spool.Record) bool { return r.Reason != "" })
		if records = records[:max(0, refused)]; f.Spool.Settle(f.kind, records) != nil {
			return 0
		}
	}
	f.acked.forget(records)
	for i, r := range records {
		switch err := results[i].Err; {
		case r.Reason != "":
			f.refusals.report(f.Log, f.kind, r, err)
		case err != nil:
			f.Log.Warn("refused delivery is dropped from the spool", zap.String("subject", r.Subject), zap.String("id", r.ID),
				zap.Error(err), zap.String("remedy", publish.NoRoom.Remedy()))
		default:
			f.backlog.delivered++
		}
	}
	return len(records)
}

// succeeded prepares the next round after one in which no record failed.
func (f *forwarder) succeeded(took time.Duration) {
	if f.Spool.Len(f.kind) <= int64(f.batch) && f.breakers[f.kind].isClosed() { // the next round takes all
		f.gates[f.kind].close()
	}
	f.endFailures()
	f.lastTried = 0
	if f.batch < firstBatch || took < longRound {
		f.batch = min(max(firstBatch, 4*f.batch), maxBatch)
	}
}

// endFailures ends the failures in a row.
func (f *forwarder) endFailures() {
	f.failures = 0
	f.cause.Store(publish.Cause(""))
	clear(f.alarms)
}

// keepAcked notes which of the records that stay in the spool were acknowledged. Those that a look-up found
// aren't noted: they are looked up again.
func (f *forwarder) keepAcked(records []spool.Record, results []publish.Result) {
	for i, r := range records {
		if result := results[i]; result.Err == nil && result.Status != "" {
			f.acked.add(r.Delivery(), result.Place)
		}
	}
}

// failed waits after a round in which a record failed. After several failures the record is set aside if
// it is at fault, so that it doesn't block the others for ever.
func (f *forwarder) failed(ctx context.Context, r spool.Record, err error) {
	f.batch = 1
	f.failures++
	f.alarm(err)
	isSuspect := mayBeFaultOfMessage(err) || publish.CauseOf(err) == publish.TimedOut
	if f.failures%suspectEvery == 0 && isSuspect && f.Publisher.Ready(f.kind) == nil && f.setAsideIfAtFault(ctx, r, err) {
		return
	}
	pause(ctx, min(firstPause<<min(f.failures-1, 10), lastPause))
}

// mayBeFaultOfMessage reports whether the message may be at fault: NATS has refused it. A single missing
// acknowledgement shows nothing.
func mayBeFaultOfMessage(err error) bool {
	switch publish.CauseOf(err) {
	case publish.Rejected, publish.WrongStream, publish.NoStream:
		return true
	}
	return false
}

// setAsideIfAtFault sets the first record aside if the record is at fault and not NATS, and reports whether
// it was tried again. The record is at fault if NATS takes a later one and then refuses the first one again.
// Records behind it that NATS refuses then are at fault, too. A later record that is known to be stored isn't
// sent, and shows nothing. Each attempt tries records further behind: many at fault may follow each other.
func (f *forwarder) setAsideIfAtFault(ctx context.Context, first spool.Record, failure error) bool {
	limit := min(firstBatch<<min(2*f.failures/suspectEvery, 6), maxBatch)
	others, err := f.Spool.Next(f.kind, max(first.Seq, f.lastTried), limit, maxBytes/2)
	if err != nil || len(others) == 0 {
		f.lastTried = 0
		return false
	}
	// One look-up serves all attempts. A second one would find the record that is taken now, which then
	// wouldn't be sent again.
	if _, err := f.lookup.stored(ctx, append([]spool.Record{first}, others...)); err != nil {
		return false
	}
	// They are tried one by one until NATS stores one, or tells why it takes none: what a full stream of NATS
	// 2.10 has refused once it refuses for long. A leader knows duplicates even if it can store nothing.
	hasStored := false
	for _, r := range others[:min(len(others), firstBatch)] {
		result := f.deliver(ctx, f.lookup, []spool.Record{r})[0]
		if ctx.Err() != nil {
			return false
		}
		if errors.Is(result.Err, publish.ErrUnavailable) && !mayBeFaultOfMessage(result.Err) {
			f.alarm(result.Err) // it may be clearer than the first one's
			f.lastTried = r.Seq
			return false
		}
		if hasStored = result.Status == publish.Stored; hasStored {
			break
		}
	}
	f.lastTried = others[len(others)-1].Seq
	results := f.deliver(ctx, f.lookup, others)
	taken := slices.IndexFunc(results, isTaken)
	hasStored = hasStored || slices.ContainsFunc(results, func(r publish.Result) bool { return r.Status == publish.Stored })
	if !hasStored || taken < 0 {
		return false
	}
	if publish.CauseOf(failure) == publish.TimedOut {
		f.keepAcked(others, results)
		f.setAsideIfUnanswered(ctx, first)
		return true
	}
	results[taken] = publish.Result{} // so that it isn't noted as acknowledged, and is sent again
	f.keepAcked(others, results)
	records, err := f.Spool.Next(f.kind, 0, limit, maxBytes/2)
	if err != nil || len(records) == 0 {
		return false
	}
	records = slices.DeleteFunc(records, func(r spool.Record) bool { return r.Seq > f.lastTried }) // not looked up
	f.round(ctx, records, others[taken])
	return true
}

// setAsideIfUnanswered sends a record alone, and sets it aside if NATS doesn't acknowledge it. A leaf node's hub
// ends the connection at a message above its own max_payload, so nothing that follows is acknowledged either.
func (f *forwarder) setAsideIfUnanswered(ctx context.Context, r spool.Record) {
	results := f.deliver(ctx, f.lookup, []spool.Record{r})
	switch err := results[0].Err; {
	case ctx.Err() != nil, err != nil && publish.CauseOf(err) != publish.TimedOut:
		return
	case err != nil:
		results[0].Err = fmt.Errorf("%w, but later ones are acknowledged: see whether another server on the way, "+
			"such as a leaf node's hub, has a smaller max_payload", err)
		r.Reason = results[0].Err.Error()
	}
	f.settle([]spool.Record{r}, results)
}

// isTaken reports whether NATS has acknowledged a message now. One that is known to be stored isn't sent.
func isTaken(r publish.Result) bool { return r.Status != "" }

// alarm logs why nothing is delivered, and the remedy if somebody must act. It logs a cause once until a round
// succeeds. A missing stream may be electing its leader, so that is logged only if it lasts.
func (f *forwarder) alarm(err error) {
	cause := publish.CauseOf(err)
	if awaitsCheck(f.kind, err) {
		return
	}
	// NATS 2.10 says only once for each message that it has no room.
	if was, _ := f.cause.Load().(publish.Cause); cause == publish.Rejected && (was == publish.StreamFull || was == publish.NoStorage) {
		cause = was
	}
	f.cause.Store(cause)
	a := f.alarms[cause]
	if a == nil {
		a = &alarm{since: time.Now()}
		f.alarms[cause] = a
	}
	if a.isLogged || cause == publish.NoStream && time.Since(a.since) < publish.ElectionGrace {
		return
	}
	a.isLogged = true
	fields := []zap.Field{zap.Stringer("kind", f.kind), zap.String("cause", string(cause)), zap.Error(err)}
	if remedy := cause.Remedy(); remedy != "" {
		fields = append(fields, zap.String("remedy", remedy))
		f.backlog.alarmed = true
		f.Log.Error("events can't be delivered and wait in the spool until the cause is removed", fields...)
		return
	}
	f.Log.Warn("events can't be delivered from the spool, still trying", fields...)
}
