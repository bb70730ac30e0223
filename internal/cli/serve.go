package cli

import (
	"errors"
	"io"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

func serveCommand(environ []string, std stdio) *cobra.Command {
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
				return failedStart(std.err, cfg, warnings, err) // a mistyped name may be the cause
			}
			log := telemetry.NewLogger(std.err, cfg.LogFormat, cfg.LogLevel)
			for _, warning := range warnings {
				log.Warn(warning)
			}
			limitMemory(log.Logger, cfg, memlimit.FromCgroup)
			bridge, err := app.New(c.Context(), cfg, version(), log)
			if err != nil {
				return failedStart(std.err, cfg, nil, err)
			}
			return failedStart(std.err, cfg, nil, bridge.Run(c.Context()))
		},
	}
}

// logged is an error that the log has already.
type logged struct{ error }

func (e logged) Unwrap() error { return e.error }

// failedStart logs err in JSON if that is the log's format, a line for each of the configuration's problems, for
// whatever reads the logs of a container that has ended. A person at a terminal gets text, as of other commands.
func failedStart(w io.Writer, cfg *config.Config, warnings []string, err error) error {
	_, terminal := w.(*humanize.Terminal)
	switch {
	case err == nil:
		return nil
	case terminal || cfg.LogFormat == "console":
		printWarnings(w, warnings)
		return err
	}
	log := telemetry.NewLogger(w, cfg.LogFormat, "info")
	for _, warning := range warnings {
		log.Warn(warning)
	}
	var problems config.Problems
	if !errors.As(err, &problems) {
		log.Error("the bridge has ended", zap.Error(err))
	}
	for _, problem := range problems {
		log.Error("the configuration can't be used; `bridge config` explains every variable", zap.String("variable", problem.Variable), zap.String("error", problem.String()))
	}
	return logged{err}
}
