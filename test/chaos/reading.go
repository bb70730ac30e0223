//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// read reads a whole stream, by a consumer.
func (o *outside) read(ctx context.Context, stream string) (all []stored, err error) {
	err = poll.Try(ctx, patiently, "stream "+stream+" is read", func(context.Context) error { // which may take longer than a try does
		ctx, cancel := context.WithTimeout(ctx, patiently)
		defer cancel()
		all, err = o.readOnce(ctx, stream)
		return err
	})
	return all, err
}

func (o *outside) readOnce(ctx context.Context, stream string) ([]stored, error) {
	request, cancel := context.WithTimeout(ctx, 5*time.Second) // a cluster that has just lost a server may lose a request
	defer cancel()
	s, err := o.js.Stream(request, stream)
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		return nil, nil
	}
	consumer, err := s.OrderedConsumer(request, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	defer messages.Stop()
	var all []stored
	for uint64(len(all)) < state.Msgs {
		m, err := messages.Next(jetstream.NextMaxWait(5 * time.Second))
		if err != nil {
			return nil, fmt.Errorf("reading after %d of %d messages: %w", len(all), state.Msgs, err)
		}
		one, err := readStored(m)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// readStored returns the parts of a message that are checked. In quarantine it is the body as it
// came.
func readStored(m jetstream.Msg) (stored, error) {
	meta, err := m.Metadata()
	if err != nil {
		return stored{}, fmt.Errorf("reading message: %w", err)
	}
	one := stored{id: m.Headers().Get("Nats-Msg-Id"), sequence: meta.Sequence.Stream, sum: sumOf(m.Data())}
	if meta.Stream == quarantineStream {
		one.id = m.Headers().Get("Webhook-Id") // two messages of one delivery may stand there: answered 401 once, and 200
		return one, nil
	}
	var envelope struct {
		ID   string
		Data json.RawMessage
	}
	if err := json.Unmarshal(m.Data(), &envelope); err != nil {
		return stored{}, fmt.Errorf("reading message %d: %w", one.sequence, err)
	}
	one.inside, one.sum = envelope.ID, sumOf(envelope.Data)
	return one, nil
}
