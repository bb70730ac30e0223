package relay

import (
	"time"

	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// traced holds the spans of a batch of records from the spool. It is nil without tracing.
type traced []tracedRecord

type tracedRecord struct {
	delivery, send telemetry.Span
	arrived, began time.Time
}

// begin begins a sending span for each of the records at these places.
func (r *Relay) begin(records []spool.Record, places []int) traced {
	if r.Tracer == nil {
		return nil
	}
	all := make(traced, len(places))
	for i, place := range places {
		record := records[place]
		delivery := r.Tracer.Resume(header(record, telemetry.TraceParent), header(record, telemetry.TraceState))
		all[i] = tracedRecord{delivery, delivery.Send(record.Subject, record.ID), record.Arrived, r.Now()}
	}
	return all
}

// end ends a record's sending span. Without a failure it also records the time in the spool.
func (t traced) end(i int, outcome string, failed bool) {
	if t == nil {
		return
	}
	if !failed {
		t[i].delivery.RecordStep("wait in spool", t[i].arrived, t[i].began)
	}
	t[i].send.End(outcome, failed)
}

func header(r spool.Record, name string) string {
	for _, h := range r.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}
