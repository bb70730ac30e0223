package telemetry

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/zap"
)

// TracingConfig is the configuration of [StartTracing]. OpenTelemetry's SDK reads further variables
// itself: headers and certificates for the collector, the sampler, batches, resource attributes.
type TracingConfig struct {
	URL     string // where spans go; "" makes no tracer
	Version string
	Trust   bool        // the senders' own trace contexts
	Log     *zap.Logger // receives the SDK's warnings; sampled
}

// StartTracing returns a tracer that exports spans by OTLP over HTTP. A collector that is away or
// slow costs spans, never a delivery: they wait in a bounded queue, and what doesn't fit is
// dropped.
func StartTracing(ctx context.Context, c TracingConfig) (*Tracer, error) {
	if c.URL == "" {
		return nil, nil //nolint:nilnil // a nil tracer is one that makes no spans
	}
	logOTel(c.Log)
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.URL))
	if err != nil {
		return nil, fmt.Errorf("starting tracing: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("webhook-bridge"), semconv.ServiceVersion(c.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil { // what could be read of it is there
		c.Log.Warn("not all of OTEL_RESOURCE_ATTRIBUTES could be read", zap.Error(err))
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&reportedExporter{SpanExporter: exporter, log: c.Log}), sdk.WithResource(about))
	return &Tracer{provider, provider.Tracer("github.com/ade15e70/webhook-bridge"), c.Trust}, nil
}

// lastExportTimeout bounds the export of the last spans: a collector that is away must not delay a
// shutdown.
const lastExportTimeout = 2 * time.Second

// Close exports the remaining spans, within two seconds.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lastExportTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("exporting the last spans: %w", err)
	}
	return nil
}

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
