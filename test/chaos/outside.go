//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// outside is a client that no fault affects.
type outside struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func connect(urls []string, credentials nats.Option) (*outside, error) {
	nc, err := nats.Connect(strings.Join(urls, ","), credentials, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), nats.ReconnectWait(100*time.Millisecond), nats.Timeout(time.Second), nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // on standard error otherwise
	if err != nil {
		return nil, fmt.Errorf("connecting from outside: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second))
	if err != nil {
		return nil, fmt.Errorf("connecting from outside: %w", err)
	}
	return &outside{nc: nc, js: js}, nil
}

// The streams, as the bridge names them.
const (
	eventsStream     = "WEBHOOKS"
	quarantineStream = "WEBHOOKS_QUARANTINE"
)

// makeStreams makes both streams, as somebody would who manages them.
func (o *outside) makeStreams(ctx context.Context, change func(*jetstream.StreamConfig)) error {
	config := jetstream.StreamConfig{
		Name: eventsStream, Subjects: []string{"webhooks.>"}, Storage: jetstream.FileStorage, Replicas: 1,
		Discard: jetstream.DiscardNew, Duplicates: 25 * time.Hour, MaxAge: 168 * time.Hour,
	}
	quarantined := config
	quarantined.Name, quarantined.Subjects, quarantined.Discard = quarantineStream, []string{"webhooks-quarantine.>"}, jetstream.DiscardOld
	if change != nil {
		change(&config)
	}
	return poll.Try(ctx, patiently, "streams are made", func(ctx context.Context) error {
		for _, c := range []jetstream.StreamConfig{config, quarantined} {
			if _, err := o.js.CreateOrUpdateStream(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// change edits the stream of events.
func (o *outside) change(ctx context.Context, edit func(*jetstream.StreamConfig)) error {
	return poll.Try(ctx, patiently, "the stream is changed", func(ctx context.Context) error {
		s, err := o.js.Stream(ctx, eventsStream)
		if err != nil {
			return err
		}
		config := s.CachedInfo().Config
		edit(&config)
		_, err = o.js.UpdateStream(ctx, config)
		return err
	})
}
