package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.uber.org/zap"
)

// StartTracing returns a tracer that exports spans to a URL by OTLP over HTTP; without a URL it
// returns nil. With trust it continues the traces of senders. OpenTelemetry's SDK reads more
// variables itself: headers and certificates for the collector, the sampler, batches, resource
// attributes. Its warnings go to log, which must be sampled.
//
// A collector that is away or slow delays no delivery: if the queue of spans is full, more are dropped.
func StartTracing(ctx context.Context, url, version string, trust bool, log *zap.Logger) (*Tracer, error) {
	if url == "" {
		return nil, nil //nolint:nilnil // a nil tracer records nothing
	}
	logOTel(log)
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url))
	if err != nil {
		return nil, fmt.Errorf("starting tracing: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("webhook-bridge"), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil { // about has the attributes that could be read
		log.Warn("not all of OTEL_RESOURCE_ATTRIBUTES could be read", zap.Error(err))
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&reportedExporter{SpanExporter: exporter, log: log}), sdk.WithResource(about))
	return &Tracer{provider, provider.Tracer("github.com/ade15e70/webhook-bridge"), trust, log}, nil
}

// lastExportTimeout bounds the last export, so that a collector that is away doesn't delay a shutdown.
const lastExportTimeout = 2 * time.Second

// Close exports the remaining spans, and logs if they can't be.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lastExportTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("some spans were not exported", zap.Error(err))
	}
	return nil
}

// answer is the collector's text in an error. It may be long, and may repeat the headers for the
// collector, which can hold a password.
var answer = regexp.MustCompile(`(?s)(body|partial success): .*`)

// reportedExporter logs once, not for each batch, that spans can't be sent, and once that they can again.
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
			"OTEL_EXPORTER_OTLP_ENDPOINT and, in Kubernetes, the network policy",
			zap.String("error", answer.ReplaceAllString(err.Error(), "$1: [hidden]")))
	case !failed && e.failing.Swap(false):
		e.log.Info("spans are sent again")
	}
	return nil //nolint:nilerr // it was logged
}

// otelLog is the logr.LogSink of OpenTelemetry's SDK. It drops all values: among them is that of a variable
// that the SDK can't parse, such as OTEL_EXPORTER_OTLP_HEADERS with a password.
type otelLog struct{ log *zap.Logger }

// logOTel sends the SDK's warnings and errors to log. The setting is global to the process.
func logOTel(log *zap.Logger) {
	c := otelLog{log}
	otel.SetLogger(logr.New(c))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(c.warn))
}

// warnings is the SDK's level for warnings; routine messages have higher ones.
const warnings = 1

func (otelLog) Init(logr.RuntimeInfo)                  {}
func (otelLog) Enabled(level int) bool                 { return level <= warnings }
func (c otelLog) WithName(string) logr.LogSink         { return c }
func (c otelLog) WithValues(...any) logr.LogSink       { return c }
func (c otelLog) Info(_ int, message string, _ ...any) { c.warn(errors.New(message)) }
func (c otelLog) Error(err error, message string, _ ...any) {
	unread, isUnread := errors.AsType[*fs.PathError](err)
	switch {
	case errors.As(err, new(url.EscapeError)): // it quotes three characters of the value
		err = errors.New("invalid escape sequence")
	case isUnread: // its path may be the key itself, set by mistake
		err = unread.Err
	}
	c.warn(fmt.Errorf("%s: %w", message, err))
}

func (c otelLog) warn(err error) { c.log.Warn("OpenTelemetry reports an error", zap.Error(err)) }
