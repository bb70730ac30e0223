package cli

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func healthCommand(prog program) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask the bridge on this machine whether it can take events",
		Long: `Ask the bridge on this machine, at the port of ADMIN_ADDR, whether an event can be made durable now
(/readyz). The exit status is 0 if it can, else 1, as a container's health check needs.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := prog.load("ADMIN_ADDR")
			if err != nil {
				return err
			}
			url := "http://" + local(cfg.AdminAddr) + "/readyz"
			request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, url, nil)
			if err != nil {
				return fmt.Errorf("asking for health: %w", err)
			}
			// A proxy in the environment is not for this machine.
			client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			got, err := exchange(client, request)
			remedy := ""
			switch {
			case err != nil:
				return fmt.Errorf("no bridge answers at ADMIN_ADDR: %w; start one with `bridge serve`, or set ADMIN_ADDR to its address", err)
			case got.code == http.StatusOK:
				_, _ = fmt.Fprintln(prog.out, got.body)
				return nil
			case got.code != http.StatusServiceUnavailable && got.code != http.StatusForbidden: // 403: ADMIN_ADDR has a name that the listener refuses
				remedy = "; that is not a bridge's admin listener: set ADMIN_ADDR to its address"
			}
			return fmt.Errorf("%s answers %s: %s%s", url, got.status, got.body, remedy)
		},
	}
}
