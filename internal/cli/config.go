package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

//go:generate go test -run TestConfigurationDocument . -update-configuration

func configCommand(environ []string, io stdio) *cobra.Command {
	var check, presets bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Explain every variable and show its value",
		Long: `Print every environment variable that the bridge reads: what it takes, its default, its value
in force and its meaning. Secrets are hidden. Mistakes are printed on standard error.`,
		Example: "  bridge config\n  bridge config --check   # exit status 2 if `bridge serve` would refuse\n" +
			"  bridge config --presets # vendors that a few variables describe",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if presets {
				return printPresets(io.out)
			}
			cfg, warnings, err := config.Load(environ)
			if !check {
				var problems config.Problems
				errors.As(err, &problems)
				if err := printVariables(io.out, cfg.Variables(), problems); err != nil {
					return err
				}
			}
			for _, warning := range warnings {
				_, _ = fmt.Fprintf(io.err, "warning: %s\n", warning)
			}
			switch {
			case err != nil && !check:
				_, _ = fmt.Fprintf(io.err, "`bridge serve` would refuse this environment:\n  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
				return nil
			case err == nil && check:
				_, _ = fmt.Fprintln(io.err, "the configuration is good")
			}
			return err
		},
	}
	c.Flags().BoolVar(&check, "check", false, "print only mistakes; exit status 2 if there are any")
	c.Flags().BoolVar(&presets, "presets", false, "print the vendors that ENDPOINTS_<i>_PROVIDER takes, and which variables each fills in")
	return c
}

// printVariables prints a block for each variable, readable at any width.
func printVariables(w io.Writer, variables []config.Variable, problems config.Problems) error {
	var b strings.Builder
	for _, v := range variables {
		value := v.Value
		if value == "" {
			value = "(not set)"
		}
		for _, p := range problems {
			if p.Variable == v.Name && p.Got != "" {
				value = p.Got + " (can't be used)"
			}
		}
		fmt.Fprintf(&b, "%s=%s\n    %s\n    takes %s", v.Name, value, v.Doc, v.Type)
		switch {
		case v.Origin != "":
			fmt.Fprintf(&b, "; filled in by the preset %s", v.Origin)
		case v.Default != "":
			fmt.Fprintf(&b, "; default: %s", v.Default)
		}
		b.WriteString("\n\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printPresets prints the providers that settings describe, with the variables that each fills in.
func printPresets(w io.Writer) error {
	var b strings.Builder
	for _, p := range providers.Described {
		fmt.Fprintf(&b, "ENDPOINTS_<i>_PROVIDER=%s\n    %s", p.Name, p.Title)
		if p.Site != "" {
			fmt.Fprintf(&b, ", as %s says", p.Source)
		}
		b.WriteByte('\n')
		for _, s := range p.Settings.List() {
			if s.Value != "" {
				fmt.Fprintf(&b, "    ENDPOINTS_<i>_%s=%s\n", s.Variable, s.Value)
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
