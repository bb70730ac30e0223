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
		Long: `Print the events of the stream as they come, or from a time on, until Ctrl-C. SUBJECT limits
them and may have wildcards; without it all are printed.

--provider, --event, --entity, --user and --id choose among them. Each may be given more than once:
any of its values will do, and an event must pass all that are given. With --follow=false it prints
what there is and ends; --until ends with what was stored until then. With one of them or --id it
begins with the first event of the stream, unless --since is given.

A line has the time of receipt, endpoint and event, the person and the thing it is about, and the
first digits of the id, which "bridge show" takes. On a terminal it is cut to the terminal's width,
and coloured unless NO_COLOR is set.`,
		Example: `  bridge tail
  bridge tail 'webhooks.ENDPOINT.>' --since 1h
  bridge tail --event 'invitee.*' --user customer_67890
  bridge tail --since 2h --until 1h --count 10
  bridge tail --since 24h --follow=false --json | jq -r .event | sort | uniq -c
  NATS_URL=nats://nats:4222 bridge tail --since 2026-01-02T03:04:05Z --json`,
		Args: takes(0, 1, "at most one subject, in quotes so that the shell leaves > and * alone"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && !server.IsValidSubject(args[0]) {
				return usagef(example("SUBJECT: got %q; takes a subject such as 'webhooks.ENDPOINT.>': tokens with dots between, * for any one, > at the end for any more"), args[0])
			}
			return chosen.check(time.Now())
		},
		RunE: prog.withNATS(streamVariables, func(ctx context.Context, s *session, args []string) error {
			part := chosen.section(s.cfg)
			if len(args) == 1 {
				part.Subjects = args
			}
			out := bufio.NewWriterSize(prog.out, 64<<10)
			lines := newPrinter(prog, s.cfg.SubjectPrefix)
			lines.out = out
			printed := uint64(0)
			err := s.read(ctx, part, chosen.untilTime, func(m stream.Message) error {
				e, none := event.Parse(m.Data())
				if chosen.matches(&e) {
					printed++
					if asJSON {
						printJSON(out, m.Data())
					} else {
						lines.print(m.Subject(), &e, none, time.Now())
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
	f.Uint64Var(&count, "count", 0, "end after so many events are printed (default: no end)")
	f.BoolVar(&asJSON, "json", false, "print each event's JSON in one line, as it is stored")
	chosen.flags(c, "go on with events as they come; --follow=false prints what there is and ends")
	return c
}
