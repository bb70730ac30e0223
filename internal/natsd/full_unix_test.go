//go:build unix

package natsd

import (
	"context"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// After a failed write the server stores nothing more, even if the disk has room again. Each line in the
// log says to restart the bridge, because the first one is soon out of sight.
func TestFailedWrite(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	dir := t.TempDir()
	s := startServer(t, dir, func(c *Config) { c.Log = zap.New(core) })
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js)
	limited(t, func() {
		poll.Until(t, "a failed write", func() bool {
			_ = js.Conn().Publish("s.x", make([]byte, 64<<10))
			return logs.FilterField(zap.String("remedy", remedy)).Len() > 0
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := js.Publish(ctx, "s.x", nil); err == nil {
		t.Error("the server stores messages again: the remedy is no longer needed")
	}
	for _, entry := range logs.All() {
		if entry.ContextMap()["remedy"] != remedy {
			t.Errorf("logged without the remedy: %s", entry.Message)
		}
	}
	stop(s)
	again := natsdtest.Connect(t, startServer(t, dir).URL())
	expect.NoError(t, expect.Err(again.Publish(t.Context(), "s.x", nil)))
}

// limited runs f while no file may grow beyond 256 KiB.
func limited(t *testing.T, f func()) {
	t.Helper()
	var before syscall.Rlimit
	expect.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	after := before
	after.Cur = 256 << 10
	expect.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &after))
	defer func() { expect.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) }()
	f()
}
