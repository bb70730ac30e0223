package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

//go:generate go test -run "TestConfigurationDocument|TestChartSchema" . -update-documents

func configCommand(prog program) *cobra.Command {
	var check, presets bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Explain every variable and show its value",
		Long: `Print every environment variable that the bridge reads: its value, its meaning, the values that it
takes, and its default. Secrets are hidden. Mistakes are printed on standard error.`,
		Example: "  bridge config\n  bridge config --check   # exit status 2 if there is a mistake\n" +
			"  bridge config --presets # vendors whose settings are known",
		RunE: func(*cobra.Command, []string) error {
			switch {
			case presets && check:
				return usagef("--check and --presets exclude each other")
			case presets:
				printPresets(prog.out)
				return nil
			}
			cfg, warnings, err := config.Load(prog.environ)
			if !check {
				problems, _ := errors.AsType[config.Problems](err)
				printVariables(prog.out, cfg.Variables(), problems)
			}
			for _, warning := range warnings {
				_, _ = fmt.Fprintf(prog.err, "warning: %s\n", warning)
			}
			switch {
			case err != nil && !check:
				_, _ = fmt.Fprintf(prog.err, "`bridge serve` would refuse this environment:\n  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
				return nil
			case err == nil && check:
				_, _ = fmt.Fprintln(prog.err, "the configuration is good")
			}
			return err
		},
	}
	c.Flags().BoolVar(&check, "check", false, "print only mistakes; exit status 2 if there are any")
	c.Flags().BoolVar(&presets, "presets", false, "print the presets that ENDPOINTS_<i>_PROVIDER takes, and the variables that each fills in")
	return c
}

func printVariables(w io.Writer, variables []config.Variable, problems config.Problems) {
	for _, v := range variables {
		value, origin := cmp.Or(v.Value, "(not set)"), ""
		for _, p := range problems {
			if p.Variable == v.Name && p.Got != "" {
				value = p.Got + " (can't be used)"
			}
		}
		switch {
		case v.Origin != "":
			origin = "; filled in by the preset " + v.Origin
		case v.Default != "":
			origin = "; default: " + v.Default
		}
		_, _ = fmt.Fprintf(w, "%s=%s\n    %s\n    takes %s%s\n\n", v.Name, value, v.Doc, v.Type, origin)
	}
}

func printPresets(w io.Writer) {
	for _, p := range providers.Presets {
		source := ""
		if p.Source != "" {
			source = fmt.Sprintf(", as %s says", p.Source)
		}
		_, _ = fmt.Fprintf(w, "ENDPOINTS_<i>_PROVIDER=%s\n    %s%s\n", p.Name, p.Title, source)
		for _, s := range p.Settings.List() {
			if s.Value != "" {
				_, _ = fmt.Fprintf(w, "    ENDPOINTS_<i>_%s=%s\n", s.Variable, s.Value)
			}
		}
		_, _ = fmt.Fprintln(w)
	}
}
