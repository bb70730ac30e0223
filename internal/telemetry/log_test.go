package telemetry

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// A time in the console format has its date: a certificate may have expired days ago.
func TestConsoleTime(t *testing.T) {
	var out strings.Builder
	NewLogger(&out, "console", "info").Info("certificate", zap.Time("not_after", time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)))
	if !strings.Contains(out.String(), `{"not_after": "2025-02-01T00:00:00.000Z"}`) {
		t.Errorf("logged %q", out.String())
	}
}
