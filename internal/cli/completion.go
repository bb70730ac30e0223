package cli

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

func completionCommand(stdio stdio) *cobra.Command {
	var shells []*cobra.Command
	for _, shell := range []struct {
		name, load string
		write      func(*cobra.Command, io.Writer) error
	}{
		{"bash", "source <(bridge completion bash)", func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) }},
		{"zsh", `bridge completion zsh > "${fpath[1]}/_bridge"`, (*cobra.Command).GenZshCompletion},
		{"fish", "bridge completion fish > ~/.config/fish/completions/bridge.fish", func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) }},
		{"powershell", "bridge completion powershell | Out-String | Invoke-Expression", (*cobra.Command).GenPowerShellCompletionWithDesc},
	} {
		shells = append(shells, &cobra.Command{
			Use:               shell.name,
			Short:             "Print the completion for " + shell.name,
			Example:           "  " + shell.load,
			Args:              noArguments,
			ValidArgsFunction: cobra.NoFileCompletions,
			RunE:              func(c *cobra.Command, _ []string) error { return shell.write(c.Root(), stdio.out) },
		})
	}
	return oneOf(&cobra.Command{
		Use:   "completion",
		Short: "Print a completion script for a shell",
		Long: `Print a script that lets a shell complete commands, flags, and what they take: endpoints with a secret in
the environment, events, reasons. It asks this program, and never NATS. That for bash needs the package
bash-completion.`,
		Example: "  source <(bridge completion bash)\n  bridge completion fish > ~/.config/fish/completions/bridge.fish",
	}, shells...)
}

// completeNone turns completion off, file names included, for each command without a rule of its own.
func completeNone(c *cobra.Command) {
	if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, under := range c.Commands() {
		completeNone(under)
	}
}

// complete sets the words that complete a flag. The flag exists, so this can't fail.
func complete(c *cobra.Command, flag string, words ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// configured returns the endpoints with a secret in the environment.
func configured(environ []string) []config.Endpoint {
	cfg, err := load(environ, func(string) bool { return false })
	if err != nil {
		return nil
	}
	return cfg.Endpoints
}

// completeEndpoint returns the names of the configured endpoints, or without any the providers': the
// command's error then tells what is missing.
func completeEndpoint(environ []string) (names []string) {
	for _, e := range configured(environ) {
		names = append(names, e.Name)
	}
	if len(names) == 0 {
		names = providers.Names()
	}
	return names
}

// providerNamed returns the provider of an endpoint, or the name itself if there is no such endpoint.
func providerNamed(environ []string, endpoint string) string {
	for _, e := range configured(environ) {
		if e.Name == endpoint {
			return e.Provider
		}
	}
	return endpoint
}

// completeSend completes ENDPOINT and EVENT.
func completeSend(environ []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return completeEndpoint(environ), cobra.ShellCompDirectiveNoFileComp
		case 1:
			if p := providers.ByName(providerNamed(environ, args[0])); p != nil {
				return p.Events, cobra.ShellCompDirectiveNoFileComp
			}
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeScheme completes the schemes of the endpoint given before, or all.
func completeScheme(environ []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (words []string, _ cobra.ShellCompDirective) {
		for _, p := range slices.Concat(providers.All, providers.Described) {
			if len(args) == 0 || p.Name == providerNamed(environ, args[0]) {
				words = append(words, p.SchemeNames()...)
			}
		}
		slices.Sort(words)
		return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeSubject completes the subjects of endpoints with a secret in the environment.
func completeSubject(environ []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (subjects []string, _ cobra.ShellCompDirective) {
		cfg, err := load(environ, func(string) bool { return false })
		if len(args) > 0 || err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		prefix := string(cfg.SubjectPrefix)
		subjects = append(subjects, prefix+".>")
		for _, name := range completeEndpoint(environ) {
			subjects = append(subjects, prefix+"."+name+".>")
		}
		return subjects, cobra.ShellCompDirectiveNoFileComp
	}
}

// knownEvents returns the known events of all providers.
func knownEvents() (names []string) {
	for _, p := range providers.All {
		names = append(names, p.Events...)
	}
	return names
}

// completeDirectory completes the names of directories.
func completeDirectory(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
