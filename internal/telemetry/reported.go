package telemetry

import (
	"context"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

// reportedExporter logs that spans can't be sent once, not for each batch, and again once they can.
type reportedExporter struct {
	sdk.SpanExporter
	log     *zap.Logger
	failing atomic.Bool
}

// ExportSpans returns no error, which the SDK would log for every batch.
func (e *reportedExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch failed := err != nil; {
	case failed && !e.failing.Swap(true):
		e.log.Warn("spans can't be sent and are dropped until the collector takes them; check "+
			"OTEL_EXPORTER_OTLP_ENDPOINT and, in Kubernetes, the network policy", zap.Error(err))
	case !failed && e.failing.Swap(false):
		e.log.Info("spans are sent again")
	}
	return nil //nolint:nilerr // it is logged
}
