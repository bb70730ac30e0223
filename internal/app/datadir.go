package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/natsd"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// startNATS starts the embedded server, unless NATS_URL is set.
func (a *App) startNATS(ctx context.Context) error {
	c := a.config
	if !c.IsEmbedded() {
		a.natsURL = c.NATSURL
		return nil
	}
	return retryWhileInUse(ctx, a.log, func() error {
		server, err := natsd.Start(natsd.Config{
			Addr: c.EmbeddedNATSAddr, Dir: c.DataDir,
			User: c.NATSUser, Password: c.NATSPassword, Token: c.NATSToken, Log: a.log,
		})
		if err != nil {
			return err
		}
		a.natsURL = server.URL()
		a.onClose(server.Stop)
		a.log.Info("NATS_URL is not set: the embedded nats-server keeps the events", zap.String("directory", c.DataDir))
		return nil
	})
}

func (a *App) openSpool(ctx context.Context) error {
	c := a.config
	err := retryWhileInUse(ctx, a.log, func() (err error) {
		a.spool, err = spool.Open(spool.Config{Dir: SpoolDir(c), MaxBytes: int64(c.SpoolMaxBytes), MaxOf: spoolShares(c), Log: a.log})
		return err
	})
	switch {
	case errors.Is(err, fileio.ErrInUse):
		return fmt.Errorf("%w: each instance needs a DATA_DIR of its own", err)
	case errors.Is(err, spool.ErrVersion):
		return err
	case err != nil:
		return fmt.Errorf("%w: set DATA_DIR to a directory that can be written", err)
	}
	a.onClose(a.closeSpool)
	return nil
}

// closeSpool closes the spool and logs what is left in it.
func (a *App) closeSpool(ctx context.Context) error {
	err := a.spool.Close(ctx)
	if s := a.spool.Stats(); s.SetAside+s.Queued[publish.Event]+s.Queued[publish.Quarantined]+s.Queued[publish.Refused] > 0 {
		a.log.Warn("events are left in the spool: a bridge with this DATA_DIR delivers them, or `bridge spool drain`",
			zap.String("directory", SpoolDir(a.config)), zap.Int64("events", s.Queued[publish.Event]),
			zap.Int64("quarantined", s.Queued[publish.Quarantined]), zap.Int64("refused", s.Queued[publish.Refused]),
			zap.Int64("set_aside", s.SetAside), zap.Int64("bytes", s.Bytes))
	}
	return err
}

// maxInUseWait is how long a bridge waits for another process to end that uses its directory. A pod that is
// deleted by force may still run when its successor starts.
const maxInUseWait = 30 * time.Second

// retryWhileInUse calls open until it returns another error than fileio.ErrInUse, or none, for at most
// maxInUseWait.
func retryWhileInUse(ctx context.Context, log *zap.Logger, open func() error) error {
	ctx, cancel := context.WithTimeout(ctx, maxInUseWait)
	defer cancel()
	for logged := false; ; logged = true {
		err := open()
		if !errors.Is(err, fileio.ErrInUse) || ctx.Err() != nil {
			return err
		}
		if !logged {
			log.Warn("another process uses the data directory: waiting for it to end", zap.Duration("at_most", maxInUseWait), zap.Error(err))
		}
		time.Sleep(200 * time.Millisecond)
	}
}
