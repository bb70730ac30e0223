package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

const (
	// forwardedBy describes the consumers that this command made. It uses no others.
	forwardedBy = "bridge forward"
	ackWait     = 15 * time.Second // until the events of a killed forwarder are posted again
	nakDelay    = 30 * time.Second // until an event that failed is posted again
)

// isConsumerName reports whether a durable consumer may have this name.
var isConsumerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString

// forwardDurable posts the events of the durable consumer. It acknowledges only those that were
// delivered or skipped.
func (p *poster) forwardDurable(ctx context.Context, section stream.Section) error {
	if _, err := p.stream(ctx, section.Stream); err != nil {
		return unlessEnded(ctx, err)
	}
	consumer, err := p.consumer(ctx, section)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	if p.follow {
		p.say("forwarding %s in stream %s as %s, until Ctrl-C", strings.Join(section.Subjects, ", "), section.Stream, p.durable)
	}
	work, ctx := errgroup.WithContext(ctx)
	for range p.concurrency {
		work.Go(func() error { return p.pull(ctx, consumer) })
	}
	return work.Wait()
}

// consumer returns the durable consumer, and creates it if there is none.
func (p *poster) consumer(ctx context.Context, section stream.Section) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	name := p.durable
	consumer, err := p.js.Consumer(ctx, section.Stream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c := jetstream.ConsumerConfig{
			Durable: name, Description: forwardedBy, FilterSubjects: section.Subjects,
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: -1, DeliverPolicy: jetstream.DeliverNewPolicy,
		}
		if !p.since.IsZero() {
			c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.since
		}
		if consumer, err = p.js.CreateConsumer(ctx, section.Stream, c); err != nil {
			return nil, fmt.Errorf("creating consumer %s of stream %s: %w", name, section.Stream, err)
		}
		return consumer, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking up consumer %s of stream %s: %w", name, section.Stream, err)
	}
	c := consumer.CachedInfo().Config
	subjects := c.FilterSubjects
	if c.FilterSubject != "" {
		subjects = []string{c.FilterSubject}
	}
	switch {
	case c.Description != forwardedBy:
		return nil, usagef("--durable: consumer %s of stream %s was not created by `bridge forward`, and a service may need its events; give another name", name, section.Stream)
	case !p.since.IsZero() || !slices.Equal(slices.Sorted(slices.Values(subjects)), slices.Sorted(slices.Values(section.Subjects))):
		return nil, usagef("--durable: %s continues where it was, with %s; leave out --since, and give --event as the first time; or give another name, or run `nats consumer rm %s %s`",
			name, strings.Join(subjects, ", "), section.Stream, name)
	}
	if c.MaxAckPending != -1 { // an older version made it: many refused events would block all others
		c.MaxAckPending = -1
		if consumer, err = p.js.UpdateConsumer(ctx, section.Stream, c); err != nil {
			return nil, fmt.Errorf("raising max_ack_pending of consumer %s of stream %s: %w", name, section.Stream, err)
		}
	}
	return consumer, nil
}

// pull posts one event after another until the context ends or, without --follow, none is left.
func (p *poster) pull(ctx context.Context, consumer jetstream.Consumer) error {
	for ctx.Err() == nil {
		m, err := consumer.Next(jetstream.FetchMaxWait(time.Second))
		isIdle := errors.Is(err, nats.ErrTimeout)
		if err == nil {
			if err := p.settle(ctx, m); err != nil {
				return err
			}
			continue
		}
		if isIdle && p.follow {
			continue
		}
		if isDone, err := p.isDone(ctx, consumer); err != nil || isDone && !p.follow {
			return err
		}
		if !isIdle { // NATS is away, as connect has printed
			sleep(ctx, time.Second)
		}
	}
	return nil
}

// isDone counts what is left, also what a killed forwarder left unacknowledged. It reports whether
// everything is posted. It returns an error if the consumer is gone.
func (p *poster) isDone(ctx context.Context, consumer jetstream.Consumer) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info, err := consumer.Info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return false, fmt.Errorf("consumer %s was deleted; run the command again to create it", p.durable)
	case err != nil:
		return false, nil // NATS is away
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = info.NumPending + uint64(info.NumAckPending)
	return info.NumPending == 0 && info.NumAckPending <= len(p.failed), nil
}

// settle posts an event, and acknowledges it or asks for it again. It keeps the server from
// redelivering the event meanwhile.
func (p *poster) settle(ctx context.Context, m jetstream.Msg) error {
	posting, posted := context.WithCancel(ctx)
	go func() {
		for sleep(posting, ackWait/3); posting.Err() == nil; sleep(posting, ackWait/3) {
			_ = m.InProgress() // if that fails, the event may be posted twice
		}
	}()
	delivered, err := p.deliver(ctx, m)
	posted()
	switch {
	case delivered:
		acked, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := m.DoubleAck(acked); err != nil {
			p.say("an event was delivered but not acknowledged, and will be posted again: %v", err)
		}
	case err == nil && ctx.Err() == nil:
		_ = m.NakWithDelay(nakDelay) // if that fails, the event comes again after ackWait
	default:
		_ = m.Nak() // for the next run
	}
	return err
}
