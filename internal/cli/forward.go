package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// forward holds the flags of `bridge forward`.
type forward struct {
	to, since, until, durable string
	follow                    bool
	concurrency, attempts     int
	timeout                   time.Duration
	choice                    eventFilter
}

func forwardCommand(environ []string, stdio stdio) *cobra.Command {
	var f forward
	c := &cobra.Command{
		Use:   "forward --to URL",
		Short: "Post events to a local service as they come, or a span of them again",
		Long: `Post each event of the stream to a service over HTTP, as a CloudEvent in structured mode, until
Ctrl-C. With --since or --until it posts what was stored then, and ends with a summary. NATS is
reached as "bridge serve" reaches it; without NATS_URL at the address of the embedded server.

Only the event is sent, never the vendor's headers or signature. A 2xx delivers it. No answer, 408,
425, 429 and 5xx are tried again with growing pauses; any other answer is final, a redirect too.
While nothing listens at URL, events wait; a span of time is then given up after --attempts.
The answer to each event is printed in a line. The exit status is 1 where an event was not delivered.

--durable NAME remembers how far it came, in a consumer of that name on the stream; the first time
it begins now, or at --since. An event counts only after a 2xx: one that fails is posted again
half a minute later, and by the next run. An event may thus be posted twice; its id tells. What the
filters leave out counts as done. "nats consumer rm STREAM NAME" forgets it.`,
		Example: `  bridge forward --to http://localhost:3000/hook
  bridge forward --event 'invitee.*' --to http://localhost:3000/hook --since 2h --until 1h
  bridge forward --durable my-laptop --concurrency 4 --to http://localhost:3000/hook`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("follow") {
				f.follow = f.durable != "" || f.since == "" && f.until == ""
			}
			to, err := f.check()
			if err != nil {
				return err
			}
			cfg, err := load(environ, usedByTail)
			if err != nil {
				return err
			}
			s, until, err := f.section(cfg, time.Now())
			if err != nil {
				return err
			}
			nc, js, err := connect(cfg, stdio.err)
			if err != nil {
				return err
			}
			defer nc.Close()
			p := newPoster(&f, to, stdio)
			if f.durable != "" {
				err = p.durable(c.Context(), js, s)
			} else {
				err = p.span(c.Context(), nc, js, s, until)
			}
			return p.summary(c.Context(), err)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.to, "to", "", "post to this http or https URL")
	flags.StringVar(&f.since, "since", "", "begin with events stored since then: a duration such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z (default: now)")
	flags.StringVar(&f.until, "until", "", "end with events stored until then; a time in the future is waited for (default: now, with --since)")
	flags.BoolVar(&f.follow, "follow", true, "go on with events as they come (default: unless --since or --until is given without --durable)")
	flags.StringVar(&f.durable, "durable", "", "remember under this name which events are delivered, and go on there the next time")
	flags.IntVar(&f.concurrency, "concurrency", 1, "post so many events at one time; 1 keeps their order")
	flags.IntVar(&f.attempts, "attempts", 6, "try each event so many times")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "wait so long for each answer")
	f.choice.flags(c)
	complete(c, "to", "http://localhost:3000/", "http://localhost:8080/")
	complete(c, "since", "5m", "1h", "24h")
	complete(c, "until", "5m", "1h", "24h")
	for _, flag := range []string{"durable", "concurrency", "attempts", "timeout"} {
		complete(c, flag)
	}
	return c
}

// check returns the URL to post to.
func (f *forward) check() (*url.URL, error) {
	to, err := url.Parse(f.to)
	switch {
	case f.to == "":
		return nil, usageError{errors.New("--to is missing: give the URL of your service, such as --to http://localhost:3000/hook")}
	case err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return nil, usageError{errors.New("--to: not a URL that can be posted to; takes one such as http://localhost:3000/hook")}
	case to.User != nil:
		return nil, usageError{errors.New("--to: a user or password in the URL would be seen in the list of processes; leave them out")}
	case f.concurrency < 1 || f.concurrency > 256:
		return nil, usageError{fmt.Errorf("--concurrency: got %d; takes 1 to 256", f.concurrency)}
	case f.attempts < 1 || f.attempts > 100:
		return nil, usageError{fmt.Errorf("--attempts: got %d; takes 1 to 100", f.attempts)}
	case f.timeout <= 0 || f.timeout > time.Hour:
		return nil, usageError{fmt.Errorf("--timeout: got %s; takes a duration up to 1h, such as 10s", f.timeout)}
	case f.durable != "" && f.until != "":
		return nil, usageError{errors.New("--durable and --until exclude each other; --durable with --follow=false posts what is left and ends")}
	case f.follow && f.until != "":
		return nil, usageError{errors.New("--follow and --until exclude each other; --until waits for a time in the future")}
	case f.durable != "" && !isConsumerName(f.durable):
		return nil, usageError{fmt.Errorf("--durable: got %q; takes 1 to 64 of A-Z, a-z, 0-9, _ and -", f.durable)}
	}
	return to, nil
}

// section returns the part of the stream to post, and the time that ends it, which may be zero.
func (f *forward) section(cfg *config.Config, now time.Time) (stream.Section, time.Time, error) {
	t := tail{since: f.since, until: f.until, follow: f.follow || f.until != "", choice: f.choice}
	s, until, err := t.section(cfg, nil, now)
	if f.durable != "" && f.since == "" {
		s.Since = time.Time{}
	}
	return s, until, err
}

// span posts a section of the stream.
func (p *poster) span(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, s stream.Section, until time.Time) error {
	work, ctx := errgroup.WithContext(ctx)
	messages := make(chan stream.Message)
	for range p.concurrency {
		work.Go(func() error {
			for m := range messages {
				p.pending.Store(m.Pending)
				if err := p.deliver(ctx, m); err != nil && !errors.Is(err, errUndelivered) {
					return err
				}
			}
			return nil
		})
	}
	work.Go(func() error {
		defer close(messages)
		return readSpan(ctx, nc, js, s, until, p.words, func(m stream.Message) error {
			select {
			case messages <- m:
				return nil
			case <-ctx.Done():
				return errEnough
			}
		})
	})
	defer p.progress()()
	return work.Wait()
}
