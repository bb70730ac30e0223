package cli

import (
	"bufio"
	"cmp"
	"context"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

func tailCommand(prog program) *cobra.Command {
	var chosen selection
	var count uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "tail [SUBJECT]",
		Short: "Print events as they come",
		Long: `Print the events of the stream as they come, until Ctrl-C. With SUBJECT, which may have wildcards,
print only events on such subjects.

--provider, --event, --entity, --user and --id choose events. Each may be repeated: an event must
match one value of each flag that is given. --since begins with the events stored since then.
--follow=false and --until print stored events only, and end. If --since isn't given, --id,
--follow=false and --until begin with the first event of the stream.

A line has the time of receipt, the endpoint and event, the person and the thing that the event is
about, and the first digits of its id, which "bridge show" takes. On a terminal, lines are cut to
its width, and coloured unless NO_COLOR is set.`,
		Example: `  bridge tail
  bridge tail 'webhooks.ENDPOINT.>' --since 1h
  bridge tail --event 'invitee.*' --user customer_67890
  bridge tail --since 2h --until 1h --count 10
  bridge tail --since 24h --follow=false --json | jq -r .event | sort | uniq -c
  NATS_URL=nats://nats:4222 bridge tail --since 2026-01-02T03:04:05Z --json`,
		Args: takes(0, 1, "at most one subject, in quotes so that the shell leaves > and * alone"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && !server.IsValidSubject(args[0]) {
				return usagef(example("SUBJECT: got %q; takes a subject such as 'webhooks.ENDPOINT.>': tokens separated by dots, * for any one, > at the end for one or more"), args[0])
			}
			return chosen.check()
		},
		RunE: prog.withNATS(streamVariables, func(ctx context.Context, s *session, args []string) error {
			section := chosen.section(s.cfg)
			if len(args) == 1 {
				section.Subjects = args
			}
			out := bufio.NewWriterSize(prog.out, 64<<10)
			lines := newPrinter(prog, s.cfg.SubjectPrefix)
			lines.out = out
			printed := uint64(0)
			err := s.read(ctx, section, chosen.until, func(m stream.Message) error {
				e, invalid := event.Parse(m.Data())
				if chosen.matches(&e) {
					printed++
					if asJSON {
						printJSON(out, m.Data())
					} else {
						lines.print(m.Subject(), &e, invalid, time.Now())
					}
				}
				switch {
				case printed == count && count > 0:
					return errEnough
				case m.Pending > 0:
					return nil
				}
				return out.Flush()
			})
			return cmp.Or(err, out.Flush())
		}),
	}
	f := c.Flags()
	f.Uint64Var(&count, "count", 0, "end after printing `n` events (default: no limit)")
	f.BoolVar(&asJSON, "json", false, "print each event as its stored JSON, one per line")
	chosen.flags(c, "print events as they come; --follow=false prints the stored ones and ends")
	return c
}
