//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// unmanaged configures a bridge for a stream that somebody else manages.
var unmanaged = []string{"STREAM_MANAGE=false"}

func makesStreams(change func(*jetstream.StreamConfig)) func(*world) error {
	return func(w *world) error { return w.outside.makeStreams(w.ctx, change) }
}

// Scenarios with streams that are deleted, full, changed, or forbidden.
var streamScenarios = []scenario{
	{
		name: "stream-deleted", about: "the stream is deleted; the bridge makes it again",
		nats: 1, bridges: 2, must: []string{lostByStream, spooled},
		faults: func(w *world) error {
			for range 2 {
				if err := w.deleteStream(); err != nil {
					return err
				}
				w.passes(2 * time.Second)
			}
			return nil
		},
	},
	{
		name: "stream-missing", about: "the stream is deleted, and somebody makes it again, otherwise than it was",
		nats: 1, bridges: 2, env: unmanaged, must: []string{lostByStream, spooled}, prepare: makesStreams(nil),
		faults: func(w *world) error {
			if err := w.deleteStream(); err != nil {
				return err
			}
			w.passes(1500 * time.Millisecond)
			if err := w.outside.makeStreams(w.ctx, func(c *jetstream.StreamConfig) {
				c.Duplicates, c.MaxAge, c.Discard = time.Hour, 24*time.Hour, jetstream.DiscardOld
			}); err != nil {
				return err
			}
			w.passes(time.Second)
			return nil
		},
	},
	{
		name: "stream-full", about: "the stream is full, with discard new, and is given room",
		nats: 1, bridges: 2, must: []string{spooled, breakers},
		faults: func(w *world) error {
			for _, full := range []func(*jetstream.StreamConfig){
				func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 },
				func(c *jetstream.StreamConfig) { c.MaxBytes = 10_000 },
			} {
				if err := w.outside.change(w.ctx, full); err != nil {
					return err
				}
				w.passes(1500 * time.Millisecond)
				if err := w.outside.change(w.ctx, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.MaxBytes = -1, -1 }); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
	{
		name: "stream-changed", about: "the stream takes other subjects, acknowledges nothing, takes only small events",
		nats: 1, bridges: 2, env: unmanaged, prepare: makesStreams(nil), must: []string{spooled, suppressed, "answered message_too_large"},
		rules: rules{also: map[string]bool{"message_too_large": true}, asides: true},
		faults: func(w *world) error {
			for i, edit := range []func(*jetstream.StreamConfig){
				func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere.>"} },
				func(c *jetstream.StreamConfig) { c.Subjects = []string{"webhooks.>"} },
				func(c *jetstream.StreamConfig) { c.NoAck = true }, // what is stored now is a duplicate later
				func(c *jetstream.StreamConfig) { c.NoAck, c.Discard = false, jetstream.DiscardOld },
				func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1500 },
			} {
				if err := w.outside.change(w.ctx, edit); err != nil {
					return err
				}
				if i == 1 {
					if err := w.recovers(); err != nil { // without direct deliveries nothing would be stored
						return err
					}
					continue
				}
				w.passes(1200 * time.Millisecond)
			}
			w.meets("answered message_too_large", 0)
			return w.outside.change(w.ctx, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
		},
	},
	{
		name: "credentials", about: "the bridge's credentials are revoked, and given back",
		nats: 1, bridges: 2, must: []string{spooled},
		faults: func(w *world) error {
			for range 2 {
				if err := w.nats[0].reload(changed); err != nil {
					return err
				}
				w.passes(1500 * time.Millisecond)
				if err := w.nats[0].reload(mayAll); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
	{
		name: "forbidden", about: "the right to publish one endpoint's subjects is taken away: its events are set aside, and listed",
		nats: 1, bridges: 2, must: []string{spooled, aside, listed}, rules: rules{asides: true},
		faults: func(w *world) error {
			err := w.nats[0].reload(mayOnlyFlock)
			w.passes(2500 * time.Millisecond)
			return err
		},
	},
}

// deletion is a deleted stream: its contents, and when it was read and deleted.
type deletion struct {
	had    map[string]bool // by id
	looked time.Time
	done   time.Time
}

// deleteStream deletes the stream of events.
func (w *world) deleteStream() error {
	return w.empty("the stream is deleted", func(ctx context.Context) error {
		err := w.outside.js.DeleteStream(ctx, eventsStream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return err
	})
}

// purgeStream removes all that is in the stream of events.
func (w *world) purgeStream() error {
	return w.empty("the stream is purged", func(ctx context.Context) error {
		s, err := w.outside.js.Stream(ctx, eventsStream)
		if err != nil {
			return err
		}
		return s.Purge(ctx)
	})
}

// empty empties the stream of events by some operation. No spool has records then, so events that
// are stored between reading and the operation were just sent.
func (w *world) empty(what string, do func(context.Context) error) error {
	if err := w.settle(); err != nil {
		return err
	}
	d := deletion{had: make(map[string]bool), looked: time.Now()}
	messages, err := w.outside.read(w.ctx, eventsStream)
	if err != nil {
		return err
	}
	for _, m := range messages {
		d.had[m.id] = true
	}
	err = poll.Try(w.ctx, patiently, what, do)
	d.done = time.Now()
	w.deleted = append(w.deleted, d)
	return err
}
