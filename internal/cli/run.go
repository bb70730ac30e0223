package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a wrong use of flags, arguments or variables.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run runs the program and returns its exit status.
func run(ctx context.Context, args []string, prog program) int {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	prog.out = output{prog.out, end}
	root := rootCommand(prog)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if unwritten, ok := errors.AsType[outputError](context.Cause(ctx)); ok {
		err = unwritten
	}
	if err == nil {
		return exitOK
	}
	status, text := exitFailure, fmt.Sprintf("bridge: %v\n", err)
	if isA[usageError](err) {
		status = exitUsage
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		status, text = exitUsage, fmt.Sprintf("bridge: the configuration can't be used; `bridge config` explains every variable\n  %s\n", strings.ReplaceAll(problems.Error(), "\n", "\n  "))
	}
	if !isA[logged](err) {
		_, _ = fmt.Fprint(prog.err, text)
	}
	return status
}

// isA reports whether an error of that type is in the chain.
func isA[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func rootCommand(prog program) *cobra.Command {
	var vendors []string
	for _, p := range providers.All {
		vendors = append(vendors, p.Title)
	}
	serve := serveCommand(prog)
	root := &cobra.Command{
		Use:   "bridge",
		Short: "Receive webhooks, publish them to NATS JetStream",
		Long: `The bridge receives the webhooks of ` + inWords(vendors, "and") + `, verifies them, and publishes each as
a CloudEvent to NATS JetStream. It answers 200 only when the event is durable.

It is configured by environment variables; "bridge config" explains them. Without a
command it serves. The other commands that need NATS find it by the same variables; without
NATS_URL they expect the server that is embedded in a bridge, at EMBEDDED_NATS_ADDR.`,
		Example:                    "  bridge demo\n  SECRETS=… bridge serve",
		Version:                    thisBuild().String(),
		Args:                       unknownCommand,
		RunE:                       serve.RunE,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2, // changed letters; with 0 only prefixes are suggested
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(prog.out)
	root.SetErr(prog.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(serve)
	for _, command := range []func(program) *cobra.Command{
		demoCommand, sendCommand, tailCommand, forwardCommand, showEventCommand, streamCommand, inspectCommand,
		verifyCommand, quarantineCommand, spoolCommand, configCommand, healthCommand, versionCommand,
	} {
		root.AddCommand(command(prog))
	}
	addCompletion(root)
	finish(root)
	return root
}

// finish completes the commands: those without subcommands take no arguments unless they say which,
// and the examples have names.
func finish(c *cobra.Command) {
	c.Example = example(c.Example)
	if c.Args == nil {
		c.Args = takes(0, 0, "no arguments")
	}
	for _, under := range c.Commands() {
		finish(under)
	}
}

// takes returns a check that refuses too few or too many arguments, and empty ones.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most || slices.Contains(args, "") {
			return usagef("%s takes %s, got %q; see `%s --help`", c.CommandPath(), what, args, c.CommandPath())
		}
		return nil
	}
}

// unknownCommand refuses arguments of a command with subcommands.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return usagef("there is no command %q%s; see `%s --help`", args[0], hint, c.CommandPath())
}

// oneOf returns c with its subcommands. Called by itself, c is a wrong use.
func oneOf(c *cobra.Command, under ...*cobra.Command) *cobra.Command {
	c.AddCommand(under...)
	c.Args = unknownCommand
	c.SuggestionsMinimumDistance = 2
	var names []string
	for _, command := range c.Commands() {
		names = append(names, command.Name())
	}
	c.RunE = func(*cobra.Command, []string) error {
		return usagef("%s takes one of %s; see `%s --help`", c.CommandPath(), strings.Join(names, ", "), c.CommandPath())
	}
	return c
}

// load reads the environment for a command that uses only the variables that match the patterns. It
// ignores mistakes in others, and that no endpoint is configured.
func (p program) load(patterns ...string) (*config.Config, error) {
	c, _, err := config.Load(p.environ)
	problems, _ := errors.AsType[config.Problems](err)
	problems = slices.DeleteFunc(problems, func(p config.Problem) bool {
		isUsed := func(pattern string) bool { matches, _ := path.Match(pattern, p.Variable); return matches }
		return strings.Contains(p.Variable, ",") || !slices.ContainsFunc(patterns, isUsed)
	})
	if len(problems) > 0 {
		return c, problems
	}
	return c, nil
}

// ofStream matches the variables of a command that reads the stream. A mistake in one must not be
// ignored: a bad NATS_URL would mean another NATS.
var ofStream = []string{"NATS_*", "EMBEDDED_NATS_ADDR", "SUBJECT_PREFIX", "STREAM_NAME"}

// ofEndpoints matches the variables of endpoints, and others.
func ofEndpoints(others ...string) []string {
	for _, p := range providers.All {
		others = append(others, p.Variable("*"))
	}
	return append(others, "ENDPOINTS_*")
}
