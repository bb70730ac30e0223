package relay

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// deliver publishes records of the look-up's kind, except those that are known to be stored. It returns a
// result for each.
func (r *Relay) deliver(ctx context.Context, l *lookup, records []spool.Record) []publish.Result {
	stored, err := l.stored(ctx, records)
	if err != nil {
		return slices.Repeat([]publish.Result{{Err: err}}, len(records))
	}
	results := make([]publish.Result, len(records))
	acked := r.acknowledged(ctx, l.kind, records)
	messages, places := make([]publish.Message, 0, len(records)), make([]int, 0, len(records))
	var ends []func(outcome string, failed bool) // of the spans
	for i, record := range records {
		if _, ok := acked[record.Seq]; ok {
			continue
		}
		if stored[record.ID] > 0 {
			r.Observer.Published(l.kind, FromSpool, Found)
			continue
		}
		messages, places, ends = append(messages, record.Message), append(places, i), append(ends, r.trace(record))
	}
	for i, result := range r.Publisher.PublishAll(ctx, messages) {
		results[places[i]] = result
		record := records[places[i]]
		ends[i](r.note(FromSpool, l.kind, result, record.Reason != ""), result.Err != nil)
		if result.Status == publish.Stored && l.isUnsure(record) {
			r.Observer.PossiblyDuplicate(l.kind)
		}
	}
	return results
}

// acknowledged returns the records that the stream has acknowledged already: they needn't be sent again. If
// the stream was created again or restored since, or may have been, it may lack them. Then all of its
// acknowledgements are forgotten: once the stream has grown again, nothing tells which of them still hold.
func (r *Relay) acknowledged(ctx context.Context, kind publish.Kind, records []spool.Record) map[uint64]publish.Place {
	acked := r.acked.of(records)
	if len(acked) == 0 {
		return nil
	}
	now, err := r.Publisher.Info(ctx, kind)
	for _, at := range acked {
		if err != nil || !at.IsIn(now) || at.Epoch != r.Publisher.Epoch(kind) {
			r.acked.clear(kind)
			return nil
		}
	}
	return acked
}

// trace begins a sending span for a record from the spool, and returns the function that ends it. If
// nothing failed, the function also records the time in the spool.
func (r *Relay) trace(record spool.Record) func(outcome string, failed bool) {
	if r.Tracer == nil {
		return func(string, bool) {}
	}
	headers := make(map[string]string)
	for _, h := range record.Headers {
		headers[h.Name] = h.Value
	}
	delivery := r.Tracer.Resume(headers[telemetry.TraceParent], headers[telemetry.TraceState])
	send, began := delivery.Send(record.Subject, record.ID), r.Now()
	return func(outcome string, failed bool) {
		if !failed {
			delivery.RecordStep("wait in spool", record.Arrived, began)
		}
		send.End(outcome, failed)
	}
}

// acked holds the messages that JetStream has acknowledged, but whose records are still in the spool: the
// acknowledgement came late, or a record before it has failed. They needn't be sent again. If one is
// forgotten and sent again, the stream recognises the duplicate.
type acked struct {
	mu     sync.Mutex
	places map[publish.Delivery]publish.Place
}

const maxAcked = 1 << 16

func (a *acked) add(d publish.Delivery, at publish.Place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.places == nil || len(a.places) >= maxAcked {
		a.places = make(map[publish.Delivery]publish.Place)
	}
	a.places[d] = at
}

// clear forgets all of a kind.
func (a *acked) clear(kind publish.Kind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.places, func(d publish.Delivery, _ publish.Place) bool { return d.Kind == kind })
}

// of returns, by number, the places of those of the records that are acknowledged.
func (a *acked) of(records []spool.Record) map[uint64]publish.Place {
	a.mu.Lock()
	defer a.mu.Unlock()
	places := make(map[uint64]publish.Place)
	for _, r := range records {
		if at, ok := a.places[r.Delivery()]; ok {
			places[r.Seq] = at
		}
	}
	return places
}

// forget drops records that have left the spool.
func (a *acked) forget(records []spool.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		delete(a.places, r.Delivery())
	}
}
