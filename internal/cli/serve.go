package cli

import (
	"context"
	"errors"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

func serveCommand(prog program) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Receive webhooks until SIGTERM or Ctrl-C",
		Long: `Receive webhooks at /webhooks/{endpoint} on HTTP_ADDR and publish them to the NATS servers in
NATS_URL or, if that isn't set, to an embedded nats-server. Probes and metrics are on ADMIN_ADDR.

It logs to standard error. The first SIGTERM, SIGHUP or Ctrl-C shuts it down in order; a second one
ends it at once.`,
		Example: "  SECRETS=… bridge serve\n  SECRETS=… NATS_URL=nats://nats:4222 bridge serve",
		RunE: func(c *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGPIPE) // the bridge goes on if nobody reads its log any more
			cfg, warnings, err := config.Load(prog.environ)
			log := telemetry.NewLogger(prog.err, cfg.LogFormat, cfg.LogLevel)
			for _, warning := range warnings { // also with err: a mistyped name may be its cause
				log.Warn(warning)
			}
			if err == nil {
				err = serve(c.Context(), cfg, log)
			}
			// A container's log is for programs, so the error is logged; people read it on a terminal.
			if _, terminal := prog.err.(*terminal); err == nil || terminal || cfg.LogFormat == "console" {
				return err
			}
			log.Error("the bridge has ended", zap.Error(err))
			return logged{err}
		},
	}
}

func serve(ctx context.Context, cfg *config.Config, log *telemetry.Logger) error {
	limitMemory(log.Logger, cfg, memlimit.FromCgroup)
	bridge, err := app.New(ctx, cfg, version(), log)
	if err == nil {
		return bridge.Run(ctx)
	}
	if errors.Is(err, fileio.ErrInUse) && ctx.Err() != nil { // it has waited, and was told to stop
		log.Info("stopped before the data directory was free", zap.Error(err))
		err = nil
	}
	return err
}

// logged is an error that was logged already.
type logged struct{ error }

func (e logged) Unwrap() error { return e.error }

// memoryShare is Go's share of the container's limit. The rest is for memory that Go doesn't count:
// the program and cached pages of the spool's files.
const memoryShare = 0.9

// limitMemory sets Go's memory limit to a share of the container's, unless GOMEMLIMIT is set. Without a
// limit the heap may grow to twice its live size, and the kernel kills a process that passes the
// container's limit. Outside a container, the limit is ample.
func limitMemory(log *zap.Logger, c *config.Config, container memlimit.Provider) {
	if set := os.Getenv("GOMEMLIMIT"); set != "" {
		log.Info("memory limit from GOMEMLIMIT", zap.String("gomemlimit", set))
		return
	}
	_ = os.Unsetenv("GOMEMLIMIT") // Go ignores an empty one, memlimit doesn't
	ample := baseMemory + int64(c.MaxInFlightBytes)
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(container))
	switch {
	case err != nil && !errors.Is(err, memlimit.ErrCgroupsNotSupported): // not Linux, so no container
		log.Warn("the container's memory limit can't be read: set GOMEMLIMIT", zap.Error(err))
	case err == nil && limit < math.MaxInt64:
		log.Info("memory limit from the container", zap.Int64("gomemlimit_bytes", limit), zap.Float64("part", memoryShare), setGC(gcWithLimit))
		if limit < ample {
			log.Warn("memory doesn't suffice for MAX_IN_FLIGHT_BYTES and many connections, and the kernel may kill the process: "+
				"raise the container's limit, or lower MAX_IN_FLIGHT_BYTES", zap.Int64("wanted_bytes", int64(float64(ample)/memoryShare)+1))
		}
	case c.IsEmbedded():
		// The nats-server's needs depend on its streams. Under a limit below them, the garbage
		// collector would take all the time.
		log.Info("memory is not limited: there is no container, or it has no limit", setGC(gcWithoutLimit))
	default:
		debug.SetMemoryLimit(ample)
		log.Info("memory limit from MAX_IN_FLIGHT_BYTES: there is no container, or it has no limit",
			zap.Int64("gomemlimit_bytes", ample), setGC(gcWithLimit))
	}
}

// setGC sets GOGC, unless the environment does.
func setGC(percent int) zap.Field {
	if os.Getenv("GOGC") != "" {
		return zap.Skip()
	}
	debug.SetGCPercent(percent)
	return zap.Int("gogc", percent)
}

const (
	// baseMemory is the memory for all but the bytes in flight, with room for the garbage
	// collector. A larger heap would gain nothing.
	baseMemory = 96 << 20
	// gcWithLimit is GOGC under a memory limit. At Go's default, 100, collecting is a tenth of an
	// event's cost, and each collection delays the deliveries of that moment (ADR 13).
	gcWithLimit = 400
	// gcWithoutLimit is GOGC without one.
	gcWithoutLimit = 50
)
