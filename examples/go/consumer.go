package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event"
)

// prefetch is how many messages a worker holds. The ack wait of each runs from when it was sent here,
// so all of them must be handled within it.
const prefetch = 16

// consumer handles the events of one durable consumer.
type consumer struct {
	js      jetstream.JetStream
	durable string
	store   *store
	tries   uint64        // before an event is a dead letter
	pause   time.Duration // before the second try; doubled for every further one
	within  time.Duration // for handling one
	log     *slog.Logger
}

// subscribe makes the durable consumer, or finds it as it was made. It begins with the oldest event
// of the stream, or with what was stored since a time.
func subscribe(ctx context.Context, js jetstream.JetStream, c settings) (jetstream.Consumer, error) {
	wanted := jetstream.ConsumerConfig{
		Durable:       c.Durable,
		FilterSubject: c.Filter,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.AckWait,
		// For the server a message is never beyond hope: handle counts, so that none is left behind
		// which is neither handled nor a dead letter.
		MaxDeliver: -1,
	}
	if !c.Since.IsZero() {
		wanted.DeliverPolicy, wanted.OptStartTime = jetstream.DeliverByStartTimePolicy, &c.Since
	}
	made, err := js.CreateOrUpdateConsumer(ctx, c.Stream, wanted)
	if err != nil {
		return nil, fmt.Errorf("making consumer %s of stream %s: %w", c.Durable, c.Stream, err)
	}
	return made, nil
}

// consume hands over messages, one at a time, until the context ends; those that this worker holds by
// then are handled too.
func consume(ctx context.Context, from jetstream.Consumer, handle func(jetstream.Msg), log *slog.Logger) error {
	consuming, err := from.Consume(handle, jetstream.PullMaxMessages(prefetch),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { log.Warn("consuming", "error", err) }))
	if err != nil {
		return fmt.Errorf("consuming: %w", err)
	}
	select {
	case <-ctx.Done():
		consuming.Drain()
		<-consuming.Closed()
		return nil
	case <-consuming.Closed():
		return errors.New("the consumer was deleted, or NATS refuses it")
	}
}

// handle handles one message. Its end is an acknowledgement, a later try, or a dead letter.
func (c *consumer) handle(m jetstream.Msg) {
	// Not of the program's context: what has begun is finished.
	ctx, cancel := context.WithTimeout(context.Background(), c.within)
	defer cancel()
	meta, err := m.Metadata()
	if err != nil {
		c.log.Error("not a message of JetStream", "error", err)
		return
	}
	log := c.log.With("subject", m.Subject(), "sequence", meta.Sequence.Stream, "try", meta.NumDelivered)

	// Looked at before the event is: one that kills its worker has no end to be counted at.
	if meta.NumDelivered > c.tries {
		c.bury(ctx, m, meta, fmt.Errorf("tried %d times", c.tries), log)
		return
	}
	err = c.try(ctx, m, log)
	switch {
	case err == nil:
		// If the acknowledgement is lost, the message comes again, and its id is known.
		if err := m.Ack(); err != nil {
			log.Warn("not acknowledged", "error", err)
		}
	case errors.Is(err, errPoison) || meta.NumDelivered == c.tries:
		c.bury(ctx, m, meta, err, log)
	default:
		c.later(m, c.pause<<(meta.NumDelivered-1), err, log)
	}
}

func (c *consumer) try(ctx context.Context, m jetstream.Msg, log *slog.Logger) error {
	e, err := event.Parse(m.Data())
	if err != nil {
		return fmt.Errorf("%w: %w", errPoison, err)
	}
	first, err := c.store.once(ctx, e.ID, func(tx *sql.Tx) error { return reward(ctx, tx, e) })
	if err != nil {
		return err
	}
	log.Info("handled", "id", e.ID, "first", first)
	return nil
}

// later has the message come again after a pause. Others come meanwhile.
func (c *consumer) later(m jetstream.Msg, pause time.Duration, why error, log *slog.Logger) {
	log.Warn("to be tried again", "error", why, "pause", pause.String())
	if err := m.NakWithDelay(pause); err != nil {
		log.Warn("not put off, so it comes again after the ack wait", "error", err)
	}
}
