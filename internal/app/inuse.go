package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/filewatch"
)

// inUseFor is how long a bridge waits for the process that still has its directory: of a pod that was
// deleted by force the next one may start before the first has ended.
const inUseFor = 30 * time.Second

// whileInUse calls open again and again while another process has what it opens.
func whileInUse(ctx context.Context, log *zap.Logger, open func() error) error {
	ctx, cancel := context.WithTimeout(ctx, inUseFor)
	defer cancel()
	for told := false; ; told = true {
		err := open()
		if !errors.Is(err, filewatch.ErrInUse) || ctx.Err() != nil {
			return err
		}
		if !told {
			log.Warn("another process has the data directory: waiting for it to end", zap.Duration("at_most", inUseFor), zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
