package telemetry

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// A time in the console format has its date: a certificate may have expired days ago.
func TestConsoleTime(t *testing.T) {
	var out strings.Builder
	NewLogger(&out, "console", "info").Info("certificate", zap.Time("not_after", time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)))
	if !strings.Contains(out.String(), `{"not_after": "2025-02-01T00:00:00.000Z"}`) {
		t.Errorf("logged %q", out.String())
	}
}

// A log that nobody reads delays one line, and others are dropped until it is read again.
func TestUnreadLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in := io.Pipe()
		log, dropped := NewLogger(in, "console", "info"), 0
		log.OnDropped(func() { dropped++ })
		began := time.Now()
		for range 100 {
			log.Info("unread")
		}
		expect.Equal(t, linePatience, time.Since(began), "the delay")
		expect.Equal(t, 99, dropped, "lines dropped")
		lines := bufio.NewScanner(out)
		lines.Scan()
		synctest.Wait()
		go log.Info("read")
		if !lines.Scan() || !strings.HasSuffix(lines.Text(), "\tread") {
			t.Errorf("then got %q, want the line that was logged last", lines.Text())
		}
	})
}
