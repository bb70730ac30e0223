package telemetry

import (
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.uber.org/zap"
)

// otelLog takes what OpenTelemetry's SDK logs. Left alone it writes to standard error, in lines of its own, and
// with values: of OTEL_EXPORTER_OTLP_HEADERS, say, which has a password, those that it can't read. No value is
// passed on.
type otelLog struct{ log *zap.Logger }

// logOTel has all that the SDK complains of sent to log. There is one place for that in a process.
func logOTel(log *zap.Logger) {
	c := otelLog{log}
	otel.SetLogger(logr.New(c))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(c.warn))
}

// warnings is the SDK's level for them; above it is what it does all the time.
const warnings = 1

// Init makes otelLog a logr.LogSink, with all that follows.
func (otelLog) Init(logr.RuntimeInfo) {}

// Enabled is whether it is at least a warning.
func (otelLog) Enabled(level int) bool { return level <= warnings }

// Info takes a warning.
func (c otelLog) Info(_ int, message string, _ ...any) { c.warn(errors.New(message)) }

// Error takes an error.
func (c otelLog) Error(err error, message string, _ ...any) {
	c.warn(fmt.Errorf("%s: %w", message, err))
}

// WithValues leaves the values out.
func (c otelLog) WithValues(...any) logr.LogSink { return c }

// WithName leaves the name out.
func (c otelLog) WithName(string) logr.LogSink { return c }

func (c otelLog) warn(err error) { c.log.Warn("OpenTelemetry reports an error", zap.Error(err)) }
