// Package app wires the bridge together and runs it: [New] binds and connects, [App.Run] serves
// until its context ends and then stops everything in reverse order, each step bounded.
package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// App is a bridge.
type App struct {
	config         *config.Config
	log            *zap.Logger
	version        string
	natsURL        string
	publisher      *publish.Publisher
	spool          *spool.Spool
	relay          *relay.Relay
	reloader       *reloader
	handler        *ingest.Handler
	public         *http.Server
	publicListener net.Listener
	admin          *http.Server
	adminListener  net.Listener
	serving        atomic.Bool
	closers        []func(context.Context) error // the steps of close, last one first

	// lastAnswer is how long an open connection is kept for one more delivery. The answer has
	// Connection: close, so the sender connects again. Tests change it.
	lastAnswer time.Duration
	// minClosing is the least time for closing, even if SHUTDOWN_TIMEOUT is over. Tests change it.
	minClosing time.Duration
}

// New returns a bridge that listens but doesn't serve yet. NATS may be away.
func New(ctx context.Context, c *config.Config, version string, logger *telemetry.Logger) (_ *App, err error) {
	log, metrics := logger.Logger, telemetry.NewMetrics(version)
	sampled := telemetry.Sampled(log, 10*time.Second, 10, 100, metrics.LogDropped.Inc)
	logger.OnDropped(metrics.LogDropped.Inc)
	a := &App{config: c, log: log, version: version, lastAnswer: time.Second, minClosing: time.Second}
	defer func() {
		if err != nil {
			_ = a.close(context.Background())
		}
	}()
	tracer, err := telemetry.StartTracing(ctx, c.SpansURL(), version, c.TrustTraceparent, sampled)
	if err != nil {
		return nil, err
	}
	a.onClose(tracer.Close)
	// First, so that deliveries that come while the directory is opened wait in the listener's queue, and are kept
	// even if their senders give up. A vendor may never repeat one that is refused.
	if a.publicListener, err = a.listen(ctx, "HTTP_ADDR", c.HTTPAddr); err != nil {
		return nil, err
	}
	errorLog, _ := zap.NewStdLogAt(log, zapcore.DebugLevel) // mostly connections that senders break
	admin := telemetry.AdminServer(a.readiness, metrics.Registry, logger, c.PPROF, errorLog)
	if err := a.listenAdmin(ctx, admin); err != nil {
		return nil, err
	}
	if err := a.startNATS(ctx); err != nil {
		return nil, err
	}
	if err := a.openSpool(ctx); err != nil {
		return nil, err
	}
	events, kept := Streams(c)
	pc := publish.Config{
		Server: a.server(), Stream: events, Timeout: c.PublishTimeout, Largest: int64(c.LargestRecord()), WindowDir: c.DataDir, Log: log,
	}
	// With QUARANTINE=false, deliveries that are in the spool for the quarantine are still published.
	if c.Quarantine || a.spool.Len(publish.Quarantined) > 0 || a.spool.Len(publish.Refused) > 0 || a.spool.Stats().SetAside > 0 {
		pc.Quarantine = &kept
	}
	if a.publisher, err = publish.Open(pc); err != nil {
		return nil, err
	}
	a.onClose(a.publisher.Close)
	a.reloader = newReloader(c, metrics, log)
	observer := newObserver(log, sampled, metrics, a.reloader.keyrings)
	a.relay = relay.Start(relay.Config{
		Publisher: a.publisher, Spool: a.spool, Reach: reach(c),
		RetrySetAside: time.Minute, Observer: observer, Tracer: tracer, Log: sampled, Now: time.Now,
	})
	a.onClose(a.relay.Close)
	a.handler = ingest.New(ingestConfig(c, a.relay, observer, tracer))
	a.addGauges(metrics)
	a.public = a.handler.Server(errorLog)
	a.publicListener = a.handler.Conns.Listen(a.public, a.publicListener, a.reloader.certificate.config())
	a.onClose(a.reloader.watch())
	return a, nil
}

// listen returns a listener on the address in a variable.
func (a *App) listen(ctx context.Context, variable, address string) (net.Listener, error) {
	l, err := Listen(ctx, variable, address)
	if err != nil {
		return nil, err
	}
	a.onClose(func(context.Context) error {
		_ = l.Close() // its server, if it ran, has closed it already
		return nil
	})
	return l, nil
}

// Listen returns a listener on an address. Its errors name the address's variable or flag.
func Listen(ctx context.Context, variable, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	remedy := "set an address of this machine, with a port that this user may listen on"
	if errors.Is(err, syscall.EADDRINUSE) {
		remedy = "stop the process that listens there (another bridge?), or set another address"
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w: %s", variable, err, remedy)
	}
	return l, nil
}

// maxAdminConnections is several times what probes, Prometheus and a person need.
const maxAdminConnections = 64

// listenAdmin binds the admin listener, and limits its connections like the public listener's.
func (a *App) listenAdmin(ctx context.Context, server *http.Server) error {
	listener, err := a.listen(ctx, "ADMIN_ADDR", a.config.AdminAddr)
	if err != nil {
		return err
	}
	limiter := ingest.NewConnLimiter(maxAdminConnections)
	a.admin, a.adminListener = server, limiter.Listen(server, listener, nil)
	serving, endProfiles := context.WithCancel(context.WithoutCancel(ctx))
	server.BaseContext = func(net.Listener) context.Context { return serving }
	a.onClose(func(ctx context.Context) error {
		endProfiles()
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close() // a client may read slowly
		return nil
	})
	return nil
}

// onClose adds a step to close. The caller has just begun what the step ends.
func (a *App) onClose(step func(context.Context) error) { a.closers = append(a.closers, step) }

// close takes the steps in reverse order.
func (a *App) close(ctx context.Context) (err error) {
	for _, step := range slices.Backward(a.closers) {
		err = errors.Join(err, step(ctx))
	}
	return err
}

// PublicAddr returns the address of the public listener.
func (a *App) PublicAddr() string { return a.publicListener.Addr().String() }

// AdminAddr returns the address of the admin listener.
func (a *App) AdminAddr() string { return a.adminListener.Addr().String() }

// NATSURL returns the URLs of the NATS servers, or of the embedded one.
func (a *App) NATSURL() string { return a.natsURL }

// readiness reports whether load balancers should send deliveries.
func (a *App) readiness() telemetry.Readiness {
	r := a.durability()
	if a.handler.Stopping.Load() {
		r.Reasons = append(r.Reasons, "shutting down")
	}
	return r
}

// durability reports whether an event can be made durable now: NATS takes it, or one of
// MAX_BODY_BYTES still fits into the spool.
func (a *App) durability() (r telemetry.Readiness) {
	if !a.serving.Load() {
		r.Reasons = append(r.Reasons, "starting")
	}
	noSpool := a.spool.Room(int64(a.config.LargestRecord()))
	noNATS := a.relay.NotDirect(publish.Event, noSpool)
	switch {
	case noNATS != nil && noSpool != nil:
		r.Reasons = append(r.Reasons, noNATS.Error(), "the spool takes nothing either: "+noSpool.Error())
		return r
	case noNATS != nil:
		r.Notes = append(r.Notes, "events go to the spool: "+noNATS.Error())
	case noSpool != nil:
		r.Notes = append(r.Notes, "the spool takes nothing: "+noSpool.Error())
	}
	if read, all, ok := a.spool.Recovery(); ok {
		r.Notes = append(r.Notes, fmt.Sprintf("recovering the spool: %d of %d MiB are read; its events are delivered after that",
			read>>20, all>>20))
	} else if n := a.spool.Len(publish.Event); n > 0 {
		r.Notes = append(r.Notes, "the spool holds "+config.Count(n, "event"))
	}
	if n := a.spool.Stats().SetAside; n > 0 {
		r.Notes = append(r.Notes, "the spool has set aside "+config.Count(n, "message")+" that NATS refuses")
	}
	return r
}

// These bound how long Run waits for the first check of the streams, so that the first deliveries needn't go
// through the spool. A sender that connects before Run serves must still be answered within a second. The
// embedded server needs only its disk; a remote stream may have no leader for a while.
const (
	settleEmbedded = time.Second
	settle         = 150 * time.Millisecond
	settleReady    = time.Second // until /readyz, which load balancers wait for
)

// Run serves until the context ends and then shuts down. It returns an error if serving failed or a
// step of the shutdown didn't end in time.
func (a *App) Run(ctx context.Context) error {
	failed := make(chan error, 2) // one for each server
	go func() { failed <- a.admin.Serve(a.adminListener) }()
	bound := settle
	if a.config.IsEmbedded() {
		bound = settleEmbedded
	}
	a.publisher.AwaitChecks(ctx, bound)
	go func() { failed <- a.public.Serve(a.publicListener) }()
	a.log.Info("listening", zap.String("public", a.PublicAddr()), zap.String("admin", a.AdminAddr()),
		zap.Strings("endpoints", describeEndpoints(a.config)), zap.String("version", a.version))
	a.publisher.AwaitChecks(ctx, settleReady)
	a.serving.Store(true)
	var broken error
	select {
	case <-ctx.Done():
	case err := <-failed:
		broken = fmt.Errorf("serving: %w", err)
	}
	return errors.Join(broken, a.stop())
}
