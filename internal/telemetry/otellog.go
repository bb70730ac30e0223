package telemetry

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.uber.org/zap"
)

// otelLog is the logr.LogSink of OpenTelemetry's SDK. It drops all values. By default the SDK writes
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

func (otelLog) Init(logr.RuntimeInfo)                  {}
func (otelLog) Enabled(level int) bool                 { return level <= warnings }
func (c otelLog) WithName(string) logr.LogSink         { return c }
func (c otelLog) WithValues(...any) logr.LogSink       { return c }
func (c otelLog) Info(_ int, message string, _ ...any) { c.warn(errors.New(message)) }
func (c otelLog) Error(err error, message string, _ ...any) {
	if errors.As(err, new(url.EscapeError)) { // it quotes three characters of the value
		err = errors.New("invalid escape sequence")
	}
	c.warn(fmt.Errorf("%s: %w", message, err))
}

func (c otelLog) warn(err error) { c.log.Warn("OpenTelemetry reports an error", zap.Error(err)) }
