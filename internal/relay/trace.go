package relay

import (
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

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
