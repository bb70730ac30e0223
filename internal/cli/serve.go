package cli

import (
	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

func serveCommand(environ []string, io stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Receive webhooks until SIGTERM or Ctrl-C",
		Long: `Receive webhooks at /webhooks/{endpoint} on HTTP_ADDR and publish them to NATS_URL, or to an
embedded nats-server without it. Probes and metrics are on ADMIN_ADDR.

It logs to standard error. The first SIGTERM or Ctrl-C shuts it down in order, a second one at once.`,
		Example: example("  SECRETS=… bridge serve\n  SECRETS=… NATS_URL=nats://nats:4222 bridge serve"),
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, warnings, err := config.Load(environ)
			if err != nil {
				printWarnings(io.err, warnings) // a mistyped name may be the cause
				return err
			}
			log := telemetry.NewLogger(io.err, cfg.LogFormat, cfg.LogLevel)
			for _, warning := range warnings {
				log.Warn(warning)
			}
			limitMemory(log.Logger, cfg, memlimit.FromCgroup)
			bridge, err := app.New(c.Context(), cfg, version(), log)
			if err != nil {
				return err
			}
			return bridge.Run(c.Context())
		},
	}
}
