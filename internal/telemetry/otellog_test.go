package telemetry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// No part of a header for the collector is logged.
func TestHeadersAreNotLogged(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=50%pw")
	var log expect.Buffer
	tracer, err := StartTracing(t.Context(), "http://127.0.0.1:1", "", false, NewLogger(&log, "json", "debug").Logger)
	expect.NoError(t, err)
	expect.NoError(t, tracer.Close(t.Context()))
	if text := log.String(); !strings.Contains(text, "escape header value") || strings.Contains(text, "%pw") {
		t.Errorf("the log is %s", text)
	}
}

// A key that was set in place of its file's path isn't logged.
func TestKeyIsNotLogged(t *testing.T) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"} {
		t.Setenv(variable, "-----BEGIN PRIVATE KEY----- marked-key")
	}
	var log expect.Buffer
	tracer, err := StartTracing(t.Context(), "http://127.0.0.1:1", "", false, NewLogger(&log, "json", "debug").Logger)
	expect.NoError(t, err)
	expect.NoError(t, tracer.Close(t.Context()))
	if text := log.String(); !strings.Contains(text, "read tls client") || strings.Contains(text, "marked-key") {
		t.Errorf("the log is %s", text)
	}
}

// The collector's answer isn't logged: it may be long, and may repeat the header with the password.
func TestCollectorAnswerIsNotLogged(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=marked-password")
	for name, answer := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "not allowed: "+r.Header.Get("Authorization")+strings.Repeat("x", 64<<10), http.StatusUnauthorized)
		},
		"a warning": func(w http.ResponseWriter, r *http.Request) {
			text := "dropped: " + r.Header.Get("Authorization") + strings.Repeat("x", 64<<10)
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"partialSuccess": map[string]any{"rejectedSpans": "1", "errorMessage": text}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			collector := httptest.NewServer(answer)
			defer collector.Close()
			var log expect.Buffer
			tracer, err := StartTracing(t.Context(), collector.URL, "", false, NewLogger(&log, "json", "debug").Logger)
			expect.NoError(t, err)
			tracer.Receive(httptest.NewRequest(http.MethodPost, "/", nil), "flock").End("", false)
			expect.NoError(t, tracer.Close(t.Context()))
			poll.Until(t, "the failure is logged", func() bool { return strings.Contains(log.String(), "spans can't be sent") })
			if text := log.String(); strings.Contains(text, "marked-password") || len(text) > 1000 {
				t.Errorf("the log has %d bytes and begins with %.600s", len(text), text)
			}
		})
	}
}
