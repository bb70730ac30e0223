package cli

import (
	"context"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

func serveCommand(prog program) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Receive webhooks until SIGTERM or Ctrl-C",
		Long: `Receive webhooks at /webhooks/{endpoint} on HTTP_ADDR and publish them to NATS_URL, or to an
embedded nats-server without it. Probes and metrics are on ADMIN_ADDR.

It logs to standard error. The first SIGTERM or Ctrl-C shuts it down in order, a second one at once.`,
		Example: example("  SECRETS=… bridge serve\n  SECRETS=… NATS_URL=nats://nats:4222 bridge serve"),
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, warnings, err := config.Load(prog.environ)
			log := telemetry.NewLogger(prog.err, cfg.LogFormat, cfg.LogLevel)
			for _, warning := range warnings { // also if err is not nil: a mistyped name may be the cause
				log.Warn(warning)
			}
			if err == nil {
				err = serve(c.Context(), cfg, log)
			}
			// In JSON for what reads the logs of a container, in text for people.
			if _, terminal := prog.err.(*humanize.Terminal); err == nil || terminal || cfg.LogFormat == "console" {
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
	if err != nil {
		return err
	}
	return bridge.Run(ctx)
}

// logged is an error that the log has already.
type logged struct{ error }

func (e logged) Unwrap() error { return e.error }
