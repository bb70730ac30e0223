package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// A delivery that comes while the bridge waits for its directory is kept, even if its sender gives up.
func TestDeliveryBeforeStart(t *testing.T) {
	addrs, err := process.FreeAddrs(1)
	expect.NoError(t, err)
	c, _, err := config.Load([]string{
		"FLOCK_SECRETS=" + flockSecret, "HTTP_ADDR=" + addrs[0], "ADMIN_ADDR=127.0.0.1:0", "NATS_URL=nats://127.0.0.1:1", "DATA_DIR=" + t.TempDir(),
	})
	expect.NoError(t, err)
	other, err := spool.Open(spool.Config{Dir: SpoolDir(c), MaxBytes: 1 << 20, Log: zap.NewNop()})
	expect.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	log, started, ended := &expect.Buffer{}, make(chan *App, 1), make(chan error, 1)
	go func() {
		a, err := New(ctx, c, "test", telemetry.NewLogger(log, "json", "info"))
		started <- a
		if err == nil {
			err = a.Run(ctx)
		}
		ended <- err
	}()
	poll.Until(t, "the bridge waits", func() bool { return strings.Contains(log.String(), "waiting for it to end") })
	body := flockBody("a", "")
	sender, err := net.Dial("tcp", addrs[0])
	expect.NoError(t, err)
	expect.NoError(t, expect.Err(io.WriteString(sender, request("flock", body, flockHeader(t, body)))))
	expect.NoError(t, sender.Close())
	expect.NoError(t, other.Close(context.Background()))
	if a := <-started; a != nil {
		poll.Until(t, "the delivery is kept", func() bool { return a.spool.Len(publish.Event) == 1 })
	}
	cancel()
	expect.NoError(t, <-ended)
}

func TestRetryWhileInUse(t *testing.T) {
	inUse := fmt.Errorf("data is %w", fileio.ErrInUse)
	other := errors.New("another error")
	for _, test := range []struct {
		name  string
		after time.Duration // which the directory is free
		then  error         // what open returns then
		want  error
		took  time.Duration
		lines int
	}{
		{"free", 0, nil, nil, 0, 0},
		{"another error", 0, other, other, 0, 0},
		{"soon free", 3 * time.Second, nil, nil, 3 * time.Second, 1},
		{"never free", time.Hour, nil, fileio.ErrInUse, maxInUseWait, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := logged.New(zap.InfoLevel)
				began := time.Now()
				err := retryWhileInUse(context.Background(), zap.New(core), func() error {
					if time.Since(began) < test.after {
						return inUse
					}
					return test.then
				})
				expect.ErrorIs(t, test.want, err, "what open returned last")
				expect.Equal(t, test.lines, logs.Len(), "lines logged")
				// If the last try comes just before the time is up, one more follows.
				if late := time.Since(began) - test.took; late != 0 && (!errors.Is(test.want, fileio.ErrInUse) || late != 200*time.Millisecond) {
					t.Errorf("got the answer after %s, want it after %s", time.Since(began), test.took)
				}
			})
		})
	}
}
