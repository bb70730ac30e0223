package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
)

// inUseFor is how long a bridge waits for another process to leave its directory. When a pod is
// deleted by force, its successor may start before it has ended.
const inUseFor = 30 * time.Second

// whileInUse calls open until it returns something other than fileio.ErrInUse.
func whileInUse(ctx context.Context, log *zap.Logger, open func() error) error {
	ctx, cancel := context.WithTimeout(ctx, inUseFor)
	defer cancel()
	for logged := false; ; logged = true {
		err := open()
		if !errors.Is(err, fileio.ErrInUse) || ctx.Err() != nil {
			return err
		}
		if !logged {
			log.Warn("another process uses the data directory: waiting for it to end", zap.Duration("at_most", inUseFor), zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
