package tracing

import (
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.uber.org/zap"
)

// complaints takes what OpenTelemetry's SDK logs. Left alone it writes to standard error, in lines of its own, and
// with values: of OTEL_EXPORTER_OTLP_HEADERS, say, which has a password, those that it can't read. No value is
// passed on.
type complaints struct{ log *zap.Logger }

// heed has all that the SDK complains of sent to log. There is one place for that in a process.
func heed(log *zap.Logger) {
	c := complaints{log}
	otel.SetLogger(logr.New(c))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(c.say))
}

// warnings is the SDK's level for them; above it is what it does all the time.
const warnings = 1

// Init makes complaints a logr.LogSink, with all that follows.
func (complaints) Init(logr.RuntimeInfo) {}

// Enabled is whether it is at least a warning.
func (complaints) Enabled(level int) bool { return level <= warnings }

// Info takes a warning.
func (c complaints) Info(_ int, message string, _ ...any) { c.say(errors.New(message)) }

// Error takes an error.
func (c complaints) Error(err error, message string, _ ...any) {
	c.say(fmt.Errorf("%s: %w", message, err))
}

// WithValues leaves the values out.
func (c complaints) WithValues(...any) logr.LogSink { return c }

// WithName leaves the name out.
func (c complaints) WithName(string) logr.LogSink { return c }

func (c complaints) say(err error) { c.log.Warn("OpenTelemetry reports an error", zap.Error(err)) }
