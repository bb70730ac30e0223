package publish

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// A disk that hangs while the window is written doesn't keep a later session from being used.
func TestDiskHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hangs := filepath.Join(dir, "window-WEBHOOKS.json.new")
	expect.NoError(t, syscall.Mkfifo(hangs, 0o600)) // opening it waits for a reader
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), func(c *Config) { c.WindowDir = dir }).connected()
	s.Stop()
	s.Start()
	poll.Until(t, "stored", func() bool { return expect.Err(f.publish("1")) == nil })
	reader, err := os.Open(hangs)
	expect.NoError(t, err)
	expect.NoError(t, f.close(t.Context()))
	_ = reader.Close()
}
