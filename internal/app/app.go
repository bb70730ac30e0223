// Package app wires the bridge together and runs it: [New] binds and connects, [App.Run] serves
// until its context ends and then stops everything in reverse order, each step bounded.
package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/admin"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/natsd"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// App is a bridge.
type App struct {
	config    *config.Config
	log       *zap.Logger
	nats      *natsd.Server // nil with NATS_URL
	publisher *publish.Publisher
	handler   *ingest.Handler
	public    *front
	admin     *http.Server
	adminSide net.Listener
	stopping  atomic.Bool
}

// New returns a bridge that listens, but serves nothing yet. NATS may be away; an address in use or
// credentials that can't be read are errors.
func New(ctx context.Context, c *config.Config, version string, log *zap.Logger) (_ *App, err error) {
	a := &App{config: c, log: log}
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	var listen net.ListenConfig
	publicSide, err := listen.Listen(ctx, "tcp", string(c.HTTPAddr))
	if err != nil {
		return nil, fmt.Errorf("listening on HTTP_ADDR: %w", err)
	}
	a.public = &front{listener: publicSide}
	if a.adminSide, err = listen.Listen(ctx, "tcp", string(c.AdminAddr)); err != nil {
		return nil, fmt.Errorf("listening on ADMIN_ADDR: %w", err)
	}
	url := string(c.NATSURL)
	if c.IsEmbedded() {
		if a.nats, err = natsd.Start(embedded(c, log)); err != nil {
			return nil, err
		}
		url = a.nats.URL()
	}
	if a.publisher, err = publish.Open(publishing(c, url, version, log)); err != nil {
		return nil, err
	}
	metrics := telemetry.NewMetrics(telemetry.State{
		Connected:     a.publisher.IsConnected,
		Ready:         func() bool { return len(a.unready()) == 0 },
		InFlightBytes: func() int64 { return a.handler.InFlightBytes() },
		Version:       version,
	})
	a.handler = ingest.New(ingesting(c, a.publisher, newObserver(log, metrics)))
	errorLog, _ := zap.NewStdLogAt(log, zapcore.DebugLevel) // broken connections, mostly: what senders do is no error of ours
	a.public.serveWith(a.handler.Server(errorLog))
	a.admin = admin.Server(a.unready, metrics.Registry, errorLog)
	return a, nil
}

// release closes what New has opened, where New fails.
func (a *App) release() {
	if a.publisher != nil {
		_ = a.publisher.Close(context.Background())
	}
	if a.nats != nil {
		a.nats.Stop()
	}
	if a.public != nil {
		_ = a.public.listener.Close()
	}
	if a.adminSide != nil {
		_ = a.adminSide.Close()
	}
}

// PublicAddr is where the public listener is bound.
func (a *App) PublicAddr() string { return a.public.listener.Addr().String() }

// AdminAddr is where the admin listener is bound.
func (a *App) AdminAddr() string { return a.adminSide.Addr().String() }

// NATSURL is where the embedded server listens; "" with NATS_URL.
func (a *App) NATSURL() string {
	if a.nats == nil {
		return ""
	}
	return a.nats.URL()
}

// unready says why no event can be made durable now.
func (a *App) unready() []string {
	var reasons []string
	if a.stopping.Load() {
		reasons = append(reasons, "shutting down")
	}
	if err := a.publisher.Ready(); err != nil {
		reasons = append(reasons, err.Error())
	}
	return reasons
}

// settle gives the stream a moment to be checked, where NATS is there, so that the first delivery
// isn't refused for nothing.
const settle = time.Second

// Run serves until the context ends and then shuts down. It returns an error where something broke
// or a step of the shutdown didn't end in time.
func (a *App) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { failed <- a.admin.Serve(a.adminSide) }()
	a.publisher.Settle(ctx, settle)
	go func() { failed <- a.public.serve() }()
	a.log.Info("listening", zap.String("public", a.PublicAddr()), zap.String("admin", a.AdminAddr()), zap.Strings("endpoints", endpointsInWords(a.config)))
	var broken error
	select {
	case <-ctx.Done():
	case err := <-failed:
		broken = fmt.Errorf("serving: %w", err)
	}
	return errors.Join(broken, a.stop())
}

// leastClosing is what is left for closing where waiting for senders has used up SHUTDOWN_TIMEOUT.
const leastClosing = time.Second

// stopNATS ends the embedded server, but waits for it no longer than the context: its store is on
// disk at every moment.
func (a *App) stopNATS(ctx context.Context) error {
	if a.nats == nil {
		return nil
	}
	stopped := make(chan struct{})
	go func() {
		a.nats.Stop()
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		return errors.New("the embedded nats-server is still closing its store")
	}
}

// stop ends everything in the reverse order of its beginning: no event that was answered 200
// depends on anything that is stopped before it.
func (a *App) stop() error {
	a.log.Info("shutting down", zap.Duration("delay", a.config.ShutdownDelay), zap.Duration("timeout", a.config.ShutdownTimeout))
	a.stopping.Store(true)
	a.handler.Stop()
	time.Sleep(a.config.ShutdownDelay) // load balancers still send; a second signal ends this

	ctx, cancel := context.WithTimeout(context.Background(), a.config.ShutdownTimeout)
	defer cancel()
	err := a.public.stop(ctx)
	if deadline, _ := ctx.Deadline(); time.Until(deadline) < leastClosing {
		ctx, cancel = context.WithTimeout(context.Background(), leastClosing)
		defer cancel()
	}
	err = errors.Join(err, a.publisher.Close(ctx))
	err = errors.Join(err, a.stopNATS(ctx))
	err = errors.Join(err, a.admin.Shutdown(ctx))
	if err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	a.log.Info("stopped")
	return nil
}
