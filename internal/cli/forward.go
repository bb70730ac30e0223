package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/event/consumer"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

func forwardCommand(prog program) *cobra.Command {
	var p poster
	c := &cobra.Command{
		Use:   "forward [SUBJECT] --to URL",
		Short: "Post events to a service as they come, or those of a span of time",
		Long: `Post each event of the stream to a service over HTTP, as a CloudEvent in structured mode, until
Ctrl-C. With --since or --until, post the events that were stored then and end with a summary.
SUBJECT and the filters choose events, as for "bridge tail".

Only the event is sent, never the vendor's headers. An answer of 2xx means delivered.
If the answer is 408, 425, 429 or 5xx, or there is none within 10 s, the event is posted again, at
most six times in all. Any other answer is final, also a redirect. While nothing listens at URL,
events wait. Each answer is printed in a line with the first digits of the event's id. Without
--durable, the exit status is 1 if an event was not delivered.

--durable NAME remembers which events were delivered, in the consumer forward-NAME of the stream.
The first run begins now, or at --since; later ones go on where the last one ended. An event that
fails is posted again until the answer is 2xx, after pauses that grow from a second to five minutes.
An event may be posted twice, with the same id. Events that the filters exclude count as delivered.
"nats consumer rm STREAM forward-NAME" deletes the consumer.`,
		Example: `  bridge forward --to http://localhost:3000/hook
  bridge forward --event 'invitee.*' --since 2h --to http://localhost:3000/hook
  bridge forward --durable mine --concurrency 4 --to http://localhost:3000/hook`,
		PreRunE: func(_ *cobra.Command, args []string) error {
			p.chosen.follow = p.durable != "" || p.chosen.since.IsZero()
			return cmp.Or(p.check(), p.chosen.check(args))
		},
		RunE: p.chosen.untilCtrlC(prog, prog.withNATS(streamVariables, func(ctx context.Context, s *session, _ []string) error {
			p.session, p.lines = s, newPrinter(prog, s.cfg.SubjectPrefix)
			if p.durable != "" {
				return p.forwardDurable(ctx)
			}
			return p.forward(ctx)
		})),
	}
	flags := c.Flags()
	flags.StringVar(&p.to, "to", "", "post to this http or https `URL`")
	flags.Func("durable", "remember under this `name` which events were delivered, and continue there the next time", setConsumer(&p.durable))
	flags.IntVar(&p.concurrency, "concurrency", 1, "post up to `n` events at once; 1 keeps their order, except for events posted again")
	p.chosen.flags(c)
	return c
}

// poster posts events to a service and counts the outcomes.
type poster struct {
	*session
	chosen      selection // this and the next three are flags
	to, durable string
	concurrency int
	client      *http.Client
	lines       printer

	begun, posted, failed atomic.Int64
	pending               atomic.Uint64 // about how many events are left
}

const (
	answerTimeout = 10 * time.Second
	maxAnswerLine = 60 // how many characters of an answer are printed
	firstPause    = 250 * time.Millisecond
	maxPause      = 10 * time.Second
	maxAttempts   = 6
)

// check checks the flags and makes the HTTP client.
func (p *poster) check() error {
	to, err := url.Parse(p.to)
	switch {
	case p.to == "":
		return usagef("--to is missing: give the URL of your service, such as --to http://localhost:3000/hook")
	case err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return usagef("--to: not an http or https URL; takes one such as http://localhost:3000/hook")
	case to.User != nil:
		return usagef("--to: %s", withoutUser)
	case p.concurrency < 1:
		return usagef("--concurrency: got %d; takes more than 0", p.concurrency)
	case p.durable != "" && !p.chosen.until.IsZero():
		return usagef("--durable and --until exclude each other")
	}
	p.client = newClient(p.concurrency, answerTimeout)
	return nil
}

// forward posts the chosen events. At the end it prints how many were delivered.
func (p *poster) forward(ctx context.Context) error {
	begin := time.Now()
	reading, end := context.WithCancel(ctx)
	if !p.chosen.follow {
		go p.progress(reading)
	}
	var work errgroup.Group
	work.SetLimit(p.concurrency)
	err := p.read(ctx, p.chosen.section(p.cfg), func(m stream.Message) error {
		p.pending.Store(m.Pending + 1)
		if e := p.chosen.event(p.prog, m); e != nil {
			work.Go(func() error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				p.begun.Add(1)
				switch err := p.deliver(ctx, m.Subject(), e.ID, m.Data()); {
				case err == nil:
					p.posted.Add(1)
				case !isInterrupted(ctx, err):
					p.failed.Add(1)
				}
				return nil
			})
		}
		return nil
	})
	_ = work.Wait() // each failure is printed and counted
	end()
	if err == nil { // all were read, but Ctrl-C may have stopped the posting of the last ones
		err = ctx.Err()
	}
	begun, posted := p.begun.Load(), p.posted.Load()
	summary := fmt.Sprintf("%d delivered, %d not, in %s", posted, begun-posted, time.Since(begin).Round(time.Millisecond))
	if p.failed.Load() > 0 && (err == nil || p.chosen.follow && ctx.Err() != nil) {
		return errors.New(summary)
	}
	if begun > 0 || err == nil {
		p.prog.say("%s", summary)
	}
	return err
}

// forwardDurable posts the events of a durable consumer: the server remembers which were delivered.
func (p *poster) forwardDurable(ctx context.Context) error {
	if _, err := p.stream(ctx, p.cfg.StreamName, p.chosen.subjects...); err != nil {
		return err
	}
	name := "forward-" + p.durable // the prefix keeps it apart from services' consumers
	if found, err := p.js.Consumer(ctx, p.cfg.StreamName, name); err == nil {
		is := found.CachedInfo().Config
		subjects := strings.Fields(strings.Join(append(is.FilterSubjects, is.FilterSubject), " "))
		if !p.chosen.since.IsZero() || !slices.Equal(subjects, p.chosen.subjects) {
			return usagef("--durable: consumer %[1]s of stream %[2]s exists, for %[3]s, and continues where it was: "+
				"leave out --since and give the same SUBJECT, or give another name, or run `nats consumer rm %[2]s %[1]s`",
				name, p.cfg.StreamName, cmp.Or(inWords(subjects, "and"), "every subject"))
		}
	}
	if p.chosen.since.IsZero() {
		p.chosen.since = time.Now()
	}
	p.prog.say("forwarding stream %s as consumer %s, until Ctrl-C", p.cfg.StreamName, name)
	err := consumer.Run(ctx, skipping{p.js, p}, consumer.Options{
		Durable: name, Stream: p.cfg.StreamName, SubjectPrefix: p.cfg.SubjectPrefix, Filters: p.chosen.subjects, Since: p.chosen.since,
		Concurrency: p.concurrency,
		AckWait:     15 * time.Second, // then the events of a forwarder that was killed are posted again
		Timeout:     math.MaxInt64,    // the service may not be there yet
		MaxAttempts: math.MaxInt,
		Logger:      slog.New(slog.DiscardHandler), // each answer is printed, and connect prints that NATS is away
	}, func(_ context.Context, m *consumer.Message) error {
		if !p.chosen.matches(&m.Event) {
			return nil
		}
		return p.deliver(ctx, m.Subject, m.Event.ID, m.Payload)
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("consumer %s of stream %s was deleted, and its position with it: run the command again, "+
			"with --since for the events that it lacks", name, p.cfg.StreamName)
	}
	return err
}

// skipping is a JetStream for [consumer.Run] that prints dead letters instead of publishing them. They are
// messages that aren't events: events are posted again for ever.
type skipping struct {
	jetstream.JetStream
	p *poster
}

func (s skipping) PublishMsg(_ context.Context, m *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	s.p.prog.say("skipping a message on %s that is not one of the bridge's events: %s", m.Header.Get("Dead-Subject"), m.Header.Get("Dead-Reason"))
	return &jetstream.PubAck{Sequence: 1}, nil // without a sequence number it wouldn't count
}

// deliver posts an event until it is delivered, refused for good, or posted maxAttempts times. It prints
// each answer.
func (p *poster) deliver(ctx context.Context, subject, id string, payload []byte) error {
	attempt, waiting := 1, false
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		code, answer, err := p.post(ctx, payload)
		if isInterrupted(ctx, err) {
			return err
		}
		if errors.Is(err, syscall.ECONNREFUSED) { // the service isn't running: this doesn't count as an attempt
			if !waiting {
				p.printAnswer(subject, id, "nothing listens there; events wait until your service does")
			}
			waiting = true
			sleep(ctx, pause)
			continue
		}
		waiting = false
		prefix := ""
		if attempt > 1 {
			prefix = fmt.Sprintf("attempt %d: ", attempt)
		}
		p.printAnswer(subject, id, prefix+answer)
		isRetryable := code == 0 || code == 408 || code == 425 || code == 429 || code >= 500
		switch {
		case code/100 == 2:
			return nil
		case !isRetryable, attempt == maxAttempts:
			return errors.New(answer)
		}
		attempt++
		sleep(ctx, pause)
	}
}

// post posts an event once. It returns the answer's status, 0 if none came, and the answer in words.
func (p *poster) post(ctx context.Context, payload []byte) (code int, answer string, err error) {
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.to, bytes.NewReader(payload)) // no error: check has parsed the URL
	r.Header.Set("Content-Type", event.ContentType)
	r.Header.Set("User-Agent", "webhook-bridge-forward")
	began := time.Now()
	got, err := exchange(p.client, r)
	switch withURL, ok := errors.AsType[*url.Error](err); {
	case ok && withURL.Timeout():
		return 0, fmt.Sprintf("no answer within %s", answerTimeout), err
	case ok: // its URL may hold a token
		return 0, "no answer: " + withURL.Err.Error(), err
	}
	answer = fmt.Sprintf("%s in %s", got.status, time.Since(began).Round(100*time.Microsecond))
	if first, _, _ := strings.Cut(got.body, "\n"); first != "" {
		answer += ": " + truncate(printable(strings.TrimSpace(first)), maxAnswerLine)
	}
	if got.code/100 == 3 {
		answer += " (redirects are not followed: give the target as --to)"
	}
	return got.code, answer, nil
}

func (p *poster) printAnswer(subject, id, answer string) {
	head := fmt.Sprintf("%s  %s  %s  ", time.Now().Format(time.TimeOnly), p.lines.name(subject), shortened(id))
	p.prog.print("%s", head+p.lines.fit(answer, len(head)))
}

// progress prints the counts every few seconds, until the context ends.
func (p *poster) progress(ctx context.Context) {
	for sleep(ctx, 5*time.Second); ctx.Err() == nil; sleep(ctx, 5*time.Second) {
		p.prog.say("%d delivered, %d not, about %d left", p.posted.Load(), p.failed.Load(), p.pending.Load())
	}
}
