package telemetry

import (
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.uber.org/zap"
)

// otelLog receives what OpenTelemetry's SDK logs, and drops all values. By default the SDK writes
// to standard error, and shows the values of variables that it can't parse, such as
// OTEL_EXPORTER_OTLP_HEADERS and the password in it.
type otelLog struct{ log *zap.Logger }

// logOTel sends the SDK's warnings and errors to log. The setting is global to the process.
func logOTel(log *zap.Logger) {
	c := otelLog{log}
	otel.SetLogger(logr.New(c))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(c.warn))
}

// warnings is the SDK's verbosity of warnings; routine messages are above it.
const warnings = 1

// Init and the following methods make otelLog a logr.LogSink.
func (otelLog) Init(logr.RuntimeInfo) {}

// Enabled reports whether the level is at least a warning.
func (otelLog) Enabled(level int) bool { return level <= warnings }

// Info logs a warning.
func (c otelLog) Info(_ int, message string, _ ...any) { c.warn(errors.New(message)) }

// Error logs an error.
func (c otelLog) Error(err error, message string, _ ...any) {
	c.warn(fmt.Errorf("%s: %w", message, err))
}

// WithValues drops the values.
func (c otelLog) WithValues(...any) logr.LogSink { return c }

// WithName drops the name.
func (c otelLog) WithName(string) logr.LogSink { return c }

func (c otelLog) warn(err error) { c.log.Warn("OpenTelemetry reports an error", zap.Error(err)) }
