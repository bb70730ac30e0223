package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/doc/comment"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a wrong use of flags, arguments or variables.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef formats a usageError, as fmt.Errorf does.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// misuse returns a usageError that refers to the command's help.
func misuse(c *cobra.Command, format string, args ...any) error {
	return usagef(format+"; see `%s --help`", append(args, c.CommandPath())...)
}

func run(ctx context.Context, args []string, prog program) int {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	prog.out = output{prog.out, end}
	root := rootCommand(prog)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch unwritten, ok := errors.AsType[outputError](context.Cause(ctx)); {
	case ok && (err == nil || errors.Is(err, unwritten.error) || isInterrupted(ctx, err)):
		err = unwritten
	case ok:
		err = fmt.Errorf("%w; %w", unwritten, err)
	case err == nil:
		return exitOK
	case isInterrupted(ctx, err) && !isA[logged](err):
		err = errInterrupted
	}
	status, text := exitFailure, fmt.Sprintf("bridge: %v\n", err)
	if isA[usageError](err) {
		status = exitUsage
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		status, text = exitUsage, fmt.Sprintf("bridge: the configuration can't be used; `bridge config` explains every variable\n  %s\n",
			strings.ReplaceAll(problems.Error(), "\n", "\n  "))
	}
	if !isA[logged](err) {
		_, _ = fmt.Fprint(prog.err, text)
	}
	return status
}

// isA reports whether the error's chain has an error of type T.
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
		Short: "Receive webhooks and publish them to NATS JetStream",
		Long: `The bridge receives the signed webhooks of ` + inWords(append(vendors, "other vendors"), "and") + `, verifies them, and
publishes each as a CloudEvent to NATS JetStream. It answers 200 only when the event is durable.

Environment variables configure it; "bridge config" explains them. Without a command, it runs
"bridge serve". Commands that need NATS use the same variables; without NATS_URL they connect to
a running bridge's embedded nats-server, at EMBEDDED_NATS_ADDR.`,
		Example:       "  bridge demo\n  SECRETS=… bridge serve",
		Version:       thisBuild().String(),
		RunE:          serve.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,

		PersistentPreRunE: refuseEmptyFlags,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	root.SetOut(prog.out)
	root.SetErr(prog.err)
	root.SetFlagErrorFunc(flagError)
	root.Flags().BoolP("version", "v", false, "print the version")
	root.AddCommand(serve, demoCommand(prog), sendCommand(prog), tailCommand(prog), forwardCommand(prog), showCommand(prog),
		streamCommand(prog), inspectCommand(prog), verifyCommand(prog), quarantineCommand(prog), spoolCommand(prog),
		configCommand(prog), healthCommand(prog), versionCommand(prog))
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"})
	completion.Example = "  source <(bridge completion bash)"
	for _, shell := range completion.Commands() {
		shell.Args = nil // finish sets it
	}
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"})
	help.Args = func(_ *cobra.Command, args []string) error {
		c, unknown, _ := root.Find(args)
		return unknownCommand(c, unknown)
	}
	finish(root)
	return root
}

// flagError returns the error for a wrong flag: it says what the flag takes, or which flag may be meant.
func flagError(c *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		flag, takes := invalid.GetFlag(), invalid.Unwrap().Error()
		switch {
		case strings.HasPrefix(takes, "takes "): // the flag's own error; others are pflag's
		case flag.Value.Type() == "bool":
			takes = "takes true or false"
		case strings.HasPrefix(flag.Value.Type(), "uint"):
			takes = "takes a whole number, 0 or more"
		case strings.Contains(flag.Value.Type(), "int"):
			takes = "takes a whole number"
		default:
			takes = "takes a " + flag.Value.Type() + " such as " + flag.DefValue
		}
		return usagef("--%s: got %q; %s", flag.Name, invalid.GetValue(), takes)
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()) // -since is read as shorthands
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if name == f.Name || len(name) > 2 && config.Similar(name, []string{f.Name}) != "" {
				err = fmt.Errorf("%w (did you mean --%s?)", err, f.Name)
			}
		})
	}
	return misuse(c, "%w", err)
}

// finish completes a command and its subcommands. It wraps the help at 80 columns, but not within a
// quoted command.
func finish(c *cobra.Command) {
	c.Example = example(cmp.Or(c.Example, "  "+c.CommandPath()))
	long := quoted.ReplaceAllStringFunc(c.Long, func(command string) string { return strings.ReplaceAll(command, " ", "\x00") })
	long = string((&comment.Printer{TextWidth: 80}).Text(new(comment.Parser).Parse(long)))
	c.Long = strings.ReplaceAll(long, "\x00", " ")
	c.InitDefaultHelpFlag()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" { // pflag's own type is shown with its values: --json[=true|false]
			f.Value = struct{ pflag.Value }{f.Value}
		}
	})
	var names []string
	for _, sub := range c.Commands() {
		finish(sub)
		names = append(names, sub.Name())
	}
	if c.HasSubCommands() {
		c.Args = unknownCommand
		c.SuggestionsMinimumDistance = 2 // changed letters; with 0, cobra suggests only prefixes
	} else if c.Args == nil {
		c.Args = takes(0, 0, "no arguments")
	}
	if !c.Runnable() {
		c.RunE = func(*cobra.Command, []string) error {
			return misuse(c, "%s takes a command: %s", c.CommandPath(), inWords(names, "or"))
		}
	}
}

// refuseEmptyFlags returns an error if a flag is given an empty value, as by a script whose variable isn't
// set. Commands can't tell that from a flag that is left out. They check flags with a default themselves.
func refuseEmptyFlags(c *cobra.Command, _ []string) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && f.DefValue == "" {
			err = misuse(c, "--%s is empty: give it a value, or leave it out", f.Name)
		}
	})
	return err
}

// takes returns a check for least to most arguments, none of them empty.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most || slices.Contains(args, "") {
			got := cmp.Or(strings.Trim(fmt.Sprintf("%q", args), "[]"), "none")
			return misuse(c, "%s takes %s, got %s", c.CommandPath(), what, got)
		}
		return nil
	}
}

// unknownCommand refuses the arguments of a command that has subcommands: the first one names none of them.
func unknownCommand(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.ArgsLenAtDash() == 0: // cobra looks for no command there
		return misuse(c, "there is a -- before %q: leave it out", args[0])
	}
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 && args[0] != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", inWords(near, "or"))
	}
	return misuse(c, "there is no command %q%s", args[0], hint)
}

// load returns the configuration. It reports only mistakes in variables that match the patterns: those
// that the command uses.
func (p program) load(patterns ...string) (*config.Config, error) {
	c, _, err := config.Load(p.environ)
	problems, _ := errors.AsType[config.Problems](err)
	isUnused := func(variable string) bool {
		matches := func(pattern string) bool { ok, _ := path.Match(pattern, variable); return ok }
		return !slices.ContainsFunc(patterns, matches)
	}
	problems = slices.DeleteFunc(problems, func(p config.Problem) bool {
		return slices.ContainsFunc(strings.Split(p.Variable, " and "), isUnused)
	})
	if len(problems) > 0 {
		return c, problems
	}
	return c, nil
}

// streamVariables matches the variables of a command that reads the stream. If it ignored a bad NATS_URL,
// it would use another NATS.
var streamVariables = []string{"NATS_*", "EMBEDDED_NATS_ADDR", "SUBJECT_PREFIX", "STREAM_NAME"}

// endpointVariables returns patterns for the variables of all endpoints, and the others.
func endpointVariables(others ...string) []string {
	for _, p := range providers.All {
		others = append(others, p.Variable("*"))
	}
	return append(others, "ENDPOINTS_*")
}

// example replaces SECRETS, ENDPOINT, EVENT, SCHEME and HEADER by those of the first provider.
func example(text string) string {
	p := providers.All[0]
	return strings.NewReplacer(
		"SECRETS", p.Variable("SECRETS"), "ENDPOINT", p.Name, "EVENT", p.Events[0],
		"SCHEME", p.Signature.Schemes[len(p.Signature.Schemes)-1].Name, "HEADER", p.Signature.Header,
	).Replace(text)
}

// inWords formats a list for a sentence: a, b and c.
func inWords(list []string, conjunction string) string {
	if n := len(list) - 1; n > 0 {
		return strings.Join(list[:n], ", ") + " " + conjunction + " " + list[n]
	}
	return strings.Join(list, "")
}
