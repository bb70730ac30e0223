package cli

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

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
print only events on such subjects: PREFIX.ENDPOINT.EVENT.

--provider, --event, --entity, --user and --id choose events. Each may be repeated: an event must
match one value of each flag that is given. --since begins with the events stored since then.
--follow=false and --until print stored events only, and end. If --since isn't given, --id,
--follow=false and --until begin with the first event of the stream.

A line has the time of receipt, the endpoint and event, the person and the thing that the event is
about, and the first digits of its id, which "bridge show" takes. On a terminal, the person and the
thing are cut so that the line fits, and lines are coloured unless NO_COLOR is set.`,
		Example: `  bridge tail
  bridge tail 'webhooks.ENDPOINT.>' --since 1h
  bridge tail --event 'invitee.*' --user customer_67890
  bridge tail --since 2h --until 1h --count 10
  bridge tail --since 24h --follow=false --json | jq -r .event | sort | uniq -c
  NATS_URL=nats://nats:4222 bridge tail --since 2026-01-02T03:04:05Z --json`,
		PreRunE: func(_ *cobra.Command, args []string) error { return chosen.check(args) },
		RunE: chosen.untilCtrlC(prog, prog.withNATS(streamVariables, func(ctx context.Context, s *session, _ []string) error {
			var out bytes.Buffer // one write for many stored events; of whole lines, as a terminal needs them
			lines := newPrinter(prog, s.cfg.SubjectPrefix)
			lines.out = &out
			printed := uint64(0)
			err := s.read(ctx, chosen.section(s.cfg), func(m stream.Message) error {
				if e := chosen.event(prog, m); e != nil {
					printed++
					if asJSON {
						_, _ = fmt.Fprintf(&out, "%s\n", m.Data())
					} else {
						lines.print(m.Subject(), e, time.Now())
					}
				}
				if m.Pending == 0 || out.Len() > 64<<10 {
					_, _ = out.WriteTo(prog.out)
				}
				if printed == count && count > 0 {
					return errEnough
				}
				return nil
			})
			_, _ = out.WriteTo(prog.out)
			return err
		})),
	}
	chosen.flags(c)
	f := c.Flags()
	f.BoolVar(&chosen.follow, "follow", true, "print events as they come; --follow=false prints the stored ones and ends")
	f.Uint64Var(&count, "count", 0, "end after printing `n` events (default: no limit)")
	f.BoolVar(&asJSON, "json", false, "print each event as its stored JSON, one per line")
	return c
}
