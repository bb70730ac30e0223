package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// tail holds the flags of `bridge tail`.
type tail struct {
	since  string
	until  string
	count  uint64
	follow bool
	json   bool
	colour string
	choice eventFilter
}

func tailCommand(environ []string, stdio stdio) *cobra.Command {
	var t tail
	c := &cobra.Command{
		Use:   "tail [SUBJECT]",
		Short: "Print events as they come",
		Long: `Print the events of the stream as they come, or from a time on, until Ctrl-C. SUBJECT limits
them and may have wildcards; without it all are printed. NATS is reached as "bridge serve"
reaches it; without NATS_URL at the address of the embedded server.

--provider, --event, --entity, --user and --id choose among them. Each may be given more than once:
any of its values will do, and an event must pass all that are given. With --follow=false it prints
what there is and ends. --until ends with what was stored until then; a time in the future is waited
for. With --follow=false, --id or an --until that is past, it begins with the first event of the
stream unless --since is given.

A line has the time of receipt, endpoint and event, the person and the thing it is about, and the
first digits of the id, which "bridge show" takes. On a terminal it is cut to the terminal's width,
and coloured unless NO_COLOR is set.`,
		Example: example(`  bridge tail
  bridge tail 'webhooks.ENDPOINT.>' --since 1h
  bridge tail --event 'invitee.*' --user customer_67890
  bridge tail --since 2h --until 1h --count 10
  bridge tail --since 24h --follow=false --json | jq -r .event | sort | uniq -c
  NATS_URL=nats://nats:4222 bridge tail --since 2026-01-02T03:04:05Z --json`),
		ValidArgsFunction: completeSubject(environ),
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usageError{errors.New("tail takes one subject at most; quote it, so that the shell leaves > and * alone; see `bridge tail --help`")}
			case len(args) == 1 && !isSubject(args[0]):
				return usageError{fmt.Errorf(example("SUBJECT: got %q; takes a subject such as 'webhooks.ENDPOINT.>': tokens with dots between, * for any one, > at the end for any more"), args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := load(environ, usedByTail)
			if err != nil {
				return err
			}
			s, until, err := t.section(cfg, args, time.Now())
			if err != nil {
				return err
			}
			if c.Flags().Changed("count") && t.count == 0 {
				return usageError{errors.New("--count: got 0; takes how many events to print, 1 or more")}
			}
			p, err := t.printer(environ, stdio, cfg)
			if err != nil {
				return err
			}
			nc, js, err := connect(cfg, stdio.err)
			if err != nil {
				return err
			}
			defer nc.Close()
			out := newLines(stdio.out)
			p.out = out
			printed := uint64(0)
			err = readSpan(c.Context(), nc, js, s, until, stdio.err, func(m stream.Message) error {
				passes, err := t.print(p, m)
				if passes {
					printed++
				}
				switch {
				case err != nil:
					return err
				case printed == t.count && t.count > 0:
					return errEnough
				case m.Pending > 0:
					return nil
				}
				return out.Flush()
			})
			if flushed := out.Flush(); err == nil {
				err = flushed
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&t.since, "since", "", "begin with events stored since then: a duration such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z (default: now)")
	f.StringVar(&t.until, "until", "", "end with events stored until then: a duration before now or a time, as for --since (default: no end)")
	f.Uint64Var(&t.count, "count", 0, "end after so many events are printed (default: no end)")
	f.BoolVar(&t.follow, "follow", true, "go on with events as they come; --follow=false prints what there is and ends")
	f.BoolVar(&t.json, "json", false, "print each event's JSON in one line, as it is stored")
	f.StringVar(&t.colour, "color", "auto", "auto, always or never")
	t.choice.flags(c)
	complete(c, "color", "auto", "always", "never")
	complete(c, "since", "5m", "1h", "24h")
	complete(c, "until", "5m", "1h", "24h")
	complete(c, "count")
	return c
}

// print prints a message if the filters let it pass, and reports whether they do.
func (t *tail) print(p printer, m stream.Message) (passes bool, err error) {
	if t.json && t.choice.isEmpty() {
		return true, printJSON(p.out, m.Data())
	}
	e, none := event.Parse(m.Data())
	passes = t.choice.isEmpty() || none == nil && t.choice.matches(&e)
	switch {
	case passes && t.json:
		err = printJSON(p.out, m.Data())
	case passes:
		err = p.print(m.Subject(), &e, none, time.Now())
	}
	return passes, err
}

// section returns the part of the stream to read, and the time that ends it, which may be zero. The
// server filters by subject and time, print by the rest.
func (t *tail) section(cfg *config.Config, args []string, now time.Time) (s stream.Section, until time.Time, err error) {
	s = stream.Section{Stream: string(cfg.StreamName), Stop: !t.follow}
	if err := t.choice.check(); err != nil {
		return s, until, err
	}
	if s.Subjects = t.choice.subjects(string(cfg.SubjectPrefix)); len(args) == 1 {
		s.Subjects = args
	}
	if s.Since, err = parseSince(t.since, now); err != nil {
		return s, until, err
	}
	if until, err = parseUntil(t.until, s.Since, now); err != nil {
		return s, until, err
	}
	past := !until.IsZero() && !until.After(now)
	if s.Since.IsZero() && (s.Stop || past || len(t.choice.ids) > 0) {
		s.Since = stream.Beginning
	}
	return s, until, nil
}

func (t *tail) printer(environ []string, stdio stdio, cfg *config.Config) (printer, error) {
	p := printer{out: stdio.out, prefix: string(cfg.SubjectPrefix)}
	if isTerminal(stdio.out) {
		p.columns = 80
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			p.columns = width
		}
	}
	switch t.colour {
	case "always":
		p.colours = true
	case "auto":
		p.colours = isTerminal(stdio.out) && variable(environ, "NO_COLOR") == "" && variable(environ, "TERM") != "dumb"
	case "never":
	default:
		return p, usageError{fmt.Errorf("--color: got %q; takes auto, always or never", t.colour)}
	}
	return p, nil
}

// variable is an environment variable's value. The last of a name counts.
func variable(environ []string, name string) (value string) {
	for _, assignment := range environ {
		if v, ok := strings.CutPrefix(assignment, name+"="); ok {
			value = v
		}
	}
	return value
}

// usedByTail reports whether tail uses a variable. One that is wrong must not be passed over: a bad
// NATS_URL would mean another NATS.
func usedByTail(variable string) bool {
	switch variable {
	case "EMBEDDED_NATS_ADDR", "SUBJECT_PREFIX", "STREAM_NAME":
		return true
	}
	return strings.HasPrefix(variable, "NATS_")
}

// parseSince reads --since; the zero time means to begin now.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return parseTime("--since", text, now)
}

// parseTime reads a flag that is a time, or a duration before now.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if d, err := config.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, usageError{fmt.Errorf("%s: got %q; takes a duration such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z", flag, text)}
}
