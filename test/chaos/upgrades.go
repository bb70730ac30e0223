//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// Scenarios with an operator's routine work on NATS.
var upgradeScenarios = []scenario{
	{
		name: "nats-lame-duck", about: "the only nats-server is restarted in order, twice",
		nats: 1, bridges: 2, must: []string{lameDucks, spooled},
		faults: func(w *world) error {
			for range 2 {
				w.tally.add(lameDucks, 1)
				if err := w.nats[0].lameDuck(w.ctx); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
	{
		name: "nats-rolling", about: "three nats-servers are restarted in order, one after the other",
		nats: 3, bridges: 2, must: []string{lameDucks},
		faults: func(w *world) error {
			for _, s := range w.nats {
				if err := w.caughtUp(); err != nil {
					return err
				}
				w.tally.add(lameDucks, 1)
				if err := s.lameDuck(w.ctx); err != nil {
					return err
				}
			}
			return w.caughtUp()
		},
	},
	{
		name: "stream-purged", about: "somebody removes every message of the stream, twice",
		nats: 1, bridges: 2, must: []string{lostByStream},
		faults: func(w *world) error {
			for range 2 {
				if err := w.purgeStream(); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
}

// caughtUp waits until every copy of the stream is whole.
func (w *world) caughtUp() error {
	return poll.Try(w.ctx, patiently, "the stream's copies are whole", func(ctx context.Context) error {
		s, err := w.outside.js.Stream(ctx, eventsStream)
		if err != nil {
			return err
		}
		cluster := s.CachedInfo().Cluster
		if cluster == nil || cluster.Leader == "" || len(cluster.Replicas) != len(w.nats)-1 {
			return errors.New("it has no leader, or too few copies")
		}
		for _, r := range cluster.Replicas {
			if !r.Current || r.Offline {
				return fmt.Errorf("that of %s isn't", r.Name)
			}
		}
		return nil
	})
}
