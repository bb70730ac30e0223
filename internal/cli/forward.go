package cli

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// forward holds the flags of `bridge forward`.
type forward struct {
	selection
	to, durable string
	concurrency int
	timeout     time.Duration
}

func forwardCommand(environ []string, stdio stdio) *cobra.Command {
	var f forward
	c := &cobra.Command{
		Use:   "forward --to URL",
		Short: "Post events to a local service as they come, or a span of them again",
		Long: `Post each event of the stream to a service over HTTP, as a CloudEvent in structured mode, until
Ctrl-C. With --since or --until it posts what was stored then, and ends with a summary.

Only the event is sent, never the vendor's headers or signature. A 2xx delivers it. No answer, 408,
425, 429 and 5xx are tried again, up to six times; any other answer is final, a redirect too.
While nothing listens at URL, events wait; a span of time is given up.
The answer to each attempt is printed in a line, with the first digits of the event's id. The exit
status is 1 if an event was not delivered.

--durable NAME remembers how far it came, in a consumer of that name on the stream. The first time
it begins now, or at --since. An event is done only after a 2xx: one that fails is posted again
half a minute later, also by the next run. An event may be posted twice, with the same id. Events
that the filters exclude count as done. "nats consumer rm STREAM NAME" deletes the consumer.`,
		Example: `  bridge forward --to http://localhost:3000/hook
  bridge forward --event 'invitee.*' --to http://localhost:3000/hook --since 2h --until 1h
  bridge forward --durable my-laptop --concurrency 4 --to http://localhost:3000/hook`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.until != "" || !c.Flags().Changed("follow") {
				f.follow = f.durable != "" || f.since == "" && f.until == ""
			}
			to, err := f.check()
			if err != nil {
				return err
			}
			cfg, err := load(environ, ofStream...)
			if err != nil {
				return err
			}
			s, until, err := f.section(cfg, time.Now())
			if err != nil {
				return err
			}
			if f.durable != "" && f.since == "" {
				s.Since = time.Time{}
			}
			js, err := connect(cfg, stdio)
			if err != nil {
				return err
			}
			defer js.Conn().Close()
			p := newPoster(&f, to, newPrinter(environ, stdio.out, cfg), stdio)
			if !f.follow {
				ctx, cancel := context.WithCancel(c.Context())
				defer cancel()
				go p.progress(ctx)
			}
			if f.durable != "" {
				err = p.forwardDurable(c.Context(), js, s)
			} else {
				err = p.forwardSpan(c.Context(), js, s, until)
			}
			return p.summary(c.Context(), err)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.to, "to", "", "post to this http or https URL")
	flags.StringVar(&f.durable, "durable", "", "remember under this name which events are delivered, and continue there the next time")
	flags.IntVar(&f.concurrency, "concurrency", 1, "post up to so many events at a time; 1 keeps their order, except of what is posted again")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "wait so long for each answer")
	f.selection.flags(c, "go on with events as they come (default: unless --since or --until is given without --durable)")
	return c
}

// check returns the URL to post to.
func (f *forward) check() (*url.URL, error) {
	to, err := url.Parse(f.to)
	switch {
	case f.to == "":
		return nil, usagef("--to is missing: give the URL of your service, such as --to http://localhost:3000/hook")
	case err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return nil, usagef("--to: not a URL that can be posted to; takes one such as http://localhost:3000/hook")
	case to.User != nil:
		return nil, usagef("--to: a user or password in the URL would be seen in the list of processes; leave them out")
	case f.concurrency < 1 || f.timeout <= 0:
		return nil, usagef("--concurrency and --timeout take more than 0")
	case f.durable != "" && f.until != "":
		return nil, usagef("--durable and --until exclude each other; --durable with --follow=false posts what is left and ends")
	case f.durable != "" && !isConsumerName(f.durable):
		return nil, usagef("--durable: got %q; takes 1 to 64 of A-Z, a-z, 0-9, _ and -", f.durable)
	}
	return to, nil
}

// forwardSpan posts a section of the stream.
func (p *poster) forwardSpan(ctx context.Context, js jetstream.JetStream, s stream.Section, until time.Time) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(p.concurrency)
	err := followSection(ctx, js, s, until, p.stdio, func(m stream.Message) error {
		work.Go(func() error {
			_, err := p.deliver(ctx, m)
			return err
		})
		return nil
	})
	return cmp.Or(work.Wait(), err)
}
