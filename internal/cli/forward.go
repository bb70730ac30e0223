package cli

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

func forwardCommand(prog program) *cobra.Command {
	p := poster{failed: make(map[uint64]bool), begin: time.Now()}
	c := &cobra.Command{
		Use:   "forward --to URL",
		Short: "Post events to a local service as they come, or those of a span of time",
		Long: `Post each event of the stream to a service over HTTP, as a CloudEvent in structured mode, until
Ctrl-C. With --since or --until, post the events that were stored then and end with a summary.

Only the event is sent, never the vendor's headers or signature. An answer of 2xx means delivered.
After no answer, 408, 425, 429 or 5xx the event is posted again, six times in all; any other answer
is final, also a redirect. While nothing listens at URL, events wait; when not following, the
command gives up. Each answer is printed in a line with the first digits of the event's id. The exit
status is 1 if an event was not delivered.

--durable NAME remembers which events were delivered, in a consumer of that name on the stream. The
first run begins now, or at --since. An event that fails is posted again half a minute later, or by
the next run, until the answer is 2xx. An event may be posted twice, with the same id. Events that
the filters exclude count as delivered. "nats consumer rm STREAM NAME" deletes the consumer.`,
		Example: `  bridge forward --to http://localhost:3000/hook
  bridge forward --event 'invitee.*' --to http://localhost:3000/hook --since 2h --until 1h
  bridge forward --durable my-laptop --concurrency 4 --to http://localhost:3000/hook`,
		PreRunE: func(c *cobra.Command, _ []string) error {
			if !p.until.IsZero() || !c.Flags().Changed("follow") {
				p.follow = p.durable != "" || p.since.IsZero() && p.until.IsZero()
			}
			return cmp.Or(p.check(), p.selection.check())
		},
		RunE: prog.withNATS(streamVariables, func(ctx context.Context, s *session, _ []string) error {
			p.session, p.lines = s, newPrinter(prog, s.cfg.SubjectPrefix)
			if !p.follow {
				running, cancel := context.WithCancel(ctx)
				defer cancel()
				go p.progress(running)
			}
			run := p.forwardSpan
			if p.durable != "" {
				run = p.forwardDurable
			}
			return p.summary(ctx, run(ctx, p.section(s.cfg)))
		}),
	}
	flags := c.Flags()
	flags.StringVar(&p.to, "to", "", "post to this http or https `URL`")
	flags.StringVar(&p.durable, "durable", "", "remember under this `name` which events were delivered, and continue there the next time")
	flags.IntVar(&p.concurrency, "concurrency", 1, "post up to `n` events at once; 1 keeps their order, except for events posted again")
	flags.DurationVar(&p.timeout, "timeout", 10*time.Second, "wait this long for each answer")
	p.selection.flags(c, "post events as they come (default: true with --durable, or without --since and --until)")
	flags.Lookup("follow").DefValue = "false" // hides a default that depends on other flags
	return c
}

// check checks the flags and makes the HTTP client.
func (p *poster) check() error {
	to, err := url.Parse(p.to)
	switch {
	case p.to == "":
		return usagef("--to is missing: give the URL of your service, such as --to http://localhost:3000/hook")
	case err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return usagef("--to: not an http or https URL; takes one such as http://localhost:3000/hook")
	case to.User != nil:
		return usagef("--to: leave out the user and password, which others could see in the list of processes")
	case p.concurrency < 1 || p.timeout <= 0:
		return usagef("--concurrency and --timeout: got %d and %s; each takes more than 0", p.concurrency, p.timeout)
	case p.durable != "" && !p.until.IsZero():
		return usagef("--durable and --until exclude each other; with --follow=false instead of --until it posts what is left and ends")
	case p.durable != "" && !isConsumerName(p.durable):
		return usagef("--durable: got %q; takes 1 to 64 of A-Z, a-z, 0-9, _ and -", p.durable)
	}
	p.host = to.Scheme + "://" + to.Host
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = p.concurrency
	transport.MaxResponseHeaderBytes = maxAnswer
	p.client = &http.Client{
		Transport: transport, Timeout: p.timeout,
		// A redirect may lead to another host, and net/http follows most with a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// forwardSpan posts a section of the stream, without a durable consumer.
func (p *poster) forwardSpan(ctx context.Context, section stream.Section) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(p.concurrency)
	err := p.read(ctx, section, p.until, func(m stream.Message) error {
		work.Go(func() error {
			_, err := p.deliver(ctx, m)
			return err
		})
		return nil
	})
	return cmp.Or(work.Wait(), err)
}
