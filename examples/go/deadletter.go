package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Dead letters are in a stream of their own, each durable consumer's on a subject of its own.
const (
	deadStream = "WEBHOOKS_DEAD"
	deadPrefix = "webhooks-dead."
)

// makeDeadLetters makes the stream of dead letters where it is missing. One that is there is left as
// it is.
func makeDeadLetters(ctx context.Context, js jetstream.JetStream) error {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: deadStream, Subjects: []string{deadPrefix + ">"}, Storage: jetstream.FileStorage,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("making stream %s: %w", deadStream, err)
	}
	return nil
}

// bury puts the message among the dead letters, and only once it is there has the server send it no
// more.
func (c *consumer) bury(ctx context.Context, m jetstream.Msg, meta *jetstream.MsgMetadata, why error, log *slog.Logger) {
	// Not all of the message's headers: Nats-Expected-Stream would have the server refuse it here.
	dead := nats.NewMsg(deadPrefix + c.durable)
	dead.Data = m.Data()
	dead.Header.Set("Content-Type", m.Headers().Get("Content-Type"))
	dead.Header.Set("Dead-Subject", m.Subject())
	dead.Header.Set("Dead-Sequence", strconv.FormatUint(meta.Sequence.Stream, 10))
	dead.Header.Set("Dead-Reason", why.Error())
	id := fmt.Sprintf("%s/%s/%d", meta.Stream, c.durable, meta.Sequence.Stream)
	if _, err := c.js.PublishMsg(ctx, dead, jetstream.WithMsgID(id)); err != nil {
		c.later(m, c.pause, fmt.Errorf("publishing the dead letter: %w", err), log)
		return
	}
	log.Error("dead letter", "reason", why)
	if err := m.Term(); err != nil {
		log.Warn("not ended, so it comes again after the ack wait", "error", err)
	}
}
