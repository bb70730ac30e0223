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

// stop stops everything in reverse order, so that each part outlives the parts that depend on it.
func (a *App) stop() error {
	a.log.Info("shutting down", zap.Duration("delay", a.config.ShutdownDelay), zap.Duration("timeout", a.config.ShutdownTimeout))
	a.handler.Stopping.Store(true)
	time.Sleep(a.config.ShutdownDelay) // load balancers still send; a second signal ends the process

	deadline := time.Now().Add(a.config.ShutdownTimeout)
	err := a.stopPublic(deadline)
	left := max(time.Until(deadline), a.minClosing)
	a.drain() // has its own timeout
	ctx, cancel := context.WithTimeout(context.Background(), left)
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

// stopPublic closes the public listener, then its connections. http.Server.Shutdown alone would close
// idle connections at once, and a delivery just being sent on one would be lost if its sender doesn't
// retry. So open connections first get a moment for one more delivery.
func (a *App) stopPublic(deadline time.Time) error {
	_ = a.publicListener.Close()
	waiting := time.Now().Add(min(time.Until(deadline), a.lastAnswer))
	for time.Now().Before(waiting) {
		if open, _ := a.handler.Conns.Connections(); open == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	// Shutdown would wait 5 s for silent connections, which load balancers open in advance.
	a.handler.Conns.CloseSilent()
	ctx, cancel := context.WithTimeout(context.Background(), max(time.Until(deadline), a.minClosing))
	defer cancel()
	if err := a.public.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) { // it closes the listener again
		return fmt.Errorf("requests have outlasted SHUTDOWN_TIMEOUT: %w", err)
	}
	return nil
}
