package telemetry

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Not even a part of a header for the collector is logged.
func TestHeadersAreNotLogged(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=50%pw")
	var log bytes.Buffer
	tracer, err := StartTracing(t.Context(), TracingConfig{URL: "http://127.0.0.1:1", Log: NewLogger(&log, "json", "debug").Logger})
	expect.NoError(t, err)
	expect.NoError(t, tracer.Close(t.Context()))
	if text := log.String(); !strings.Contains(text, "escape header value") || strings.Contains(text, "%pw") {
		t.Errorf("the log is %s", text)
	}
}
