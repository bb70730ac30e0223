package cli

import (
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// addCompletion adds cobra's command that prints completion scripts. File names complete only what
// completeFiles and completeDirectory are set for.
func addCompletion(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.InitDefaultCompletionCmd()
	c, _, _ := root.Find([]string{"completion"})
	c.Short, c.Example = "Print a completion script for a shell", "  source <(bridge completion bash)"
	for _, shell := range c.Commands() {
		shell.Args, shell.Example = nil, "  bridge completion "+shell.Name()
	}
	withSubcommands(c)
}

// complete sets the words that complete a flag. It can't fail: the flag exists.
func complete(c *cobra.Command, flag string, words ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeFiles lets file names complete flags.
func completeFiles(c *cobra.Command, flags ...string) {
	for _, flag := range flags {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault))
	}
}

// completeEndpoint completes endpoints. If the environment has none, it completes providers: the
// command's error then names the missing variable.
func (p program) completeEndpoint(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, _ := p.load()
	names := endpointsOf(cfg)
	if len(names) == 0 {
		names = providers.Names()
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeSend completes ENDPOINT and EVENT.
func (p program) completeSend(c *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return p.completeEndpoint(c, args, text)
	case 1:
		return knownEvents(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// knownEvents returns the known events of all providers.
func knownEvents() (names []string) {
	for _, p := range providers.All {
		names = append(names, p.Events...)
	}
	return names
}

var completeDirectory = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
