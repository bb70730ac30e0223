package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// minClosing is the least time for closing, even if waiting for senders used up SHUTDOWN_TIMEOUT.
const minClosing = time.Second

// stop stops everything in reverse order, so that each part outlives those that depend on it.
func (a *App) stop() error {
	a.log.Info("shutting down", zap.Duration("delay", a.config.ShutdownDelay), zap.Duration("timeout", a.config.ShutdownTimeout))
	a.stopping.Store(true)
	a.handler.Stop()
	time.Sleep(a.config.ShutdownDelay) // load balancers still send; a second signal ends the process

	ctx, cancel := context.WithTimeout(context.Background(), a.config.ShutdownTimeout)
	defer cancel()
	err := a.stopPublic(ctx)
	deadline, _ := ctx.Deadline()
	left := max(time.Until(deadline), a.minClosing)
	a.drain() // has its own timeout
	ctx, cancel = context.WithTimeout(context.Background(), left)
	defer cancel()
	err = errors.Join(err, a.close(ctx))
	if err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	a.log.Info("stopped")
	return nil
}

// drain delivers the spool until it is empty or SPOOL_DRAIN_TIMEOUT has passed.
func (a *App) drain() {
	if n := a.spool.Len(publish.Event); n > 0 && a.config.SpoolDrainTimeout > 0 {
		a.log.Info("waiting for the spool to be delivered", zap.Int64("events", n), zap.Duration("timeout", a.config.SpoolDrainTimeout))
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.config.SpoolDrainTimeout)
	defer cancel()
	a.relay.Drain(ctx)
}

// lastAnswerWait is how long an open connection may wait for one more answer, whose Connection:
// close asks the sender to connect again.
const lastAnswerWait = time.Second

// stopPublic closes the public listener, then its connections. http.Server.Shutdown alone would
// close idle connections at once, and lose a delivery just being sent on one if its sender never
// retries. So they get a moment to take one more answer. That may use up the context; Shutdown gets
// at least minClosing.
func (a *App) stopPublic(ctx context.Context) error {
	_ = a.publicListener.Close()
	waiting, over := context.WithTimeout(ctx, a.lastAnswer)
	defer over()
	for waiting.Err() == nil {
		if open, _ := a.handler.Conns.Connections(); open == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	// Shutdown would wait 5 s for silent connections, which load balancers open in advance.
	a.handler.Conns.CloseSilent()
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(time.Until(deadline), a.minClosing))
	defer cancel()
	if err := a.public.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) { // it closes the listener again
		return fmt.Errorf("requests have outlasted SHUTDOWN_TIMEOUT: %w", err)
	}
	return nil
}
