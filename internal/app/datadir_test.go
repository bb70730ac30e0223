package app

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

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
