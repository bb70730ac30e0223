//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// A cluster of three with the stream on each.
var clusterScenarios = []scenario{
	{
		name: "cluster-leader", about: "the stream's leader steps down, is killed, is paused",
		nats: 3, bridges: 2, must: []string{leaders, natsKills, spooled},
		faults: func(w *world) error {
			for range 2 {
				if err := w.stepDown(); err != nil {
					return err
				}
				w.passes(700 * time.Millisecond)
			}
			leader, err := w.streamLeader()
			if err != nil {
				return err
			}
			if err := w.killNATS(leader, 4*time.Second); err != nil {
				return err
			}
			w.passes(time.Second)
			if leader, err = w.streamLeader(); err != nil {
				return err
			}
			w.pauseNATS(leader, 3*time.Second)
			return nil
		},
	},
	{
		name: "cluster-quorum", about: "two of three servers are killed, one after the other, and come back",
		nats: 3, bridges: 1, must: []string{natsKills, spooled},
		faults: func(w *world) error {
			one := w.rng.IntN(3)
			w.tally.add(natsKills, 2)
			w.nats[one].kill()
			w.passes(500 * time.Millisecond)
			w.nats[(one+1)%3].kill()
			w.passes(4 * time.Second)
			if err := w.nats[one].start(); err != nil {
				return err
			}
			w.passes(2 * time.Second)
			return w.nats[(one+1)%3].start()
		},
	},
	{
		// nats-server 2.10 says of what the leader has staged that it is a duplicate, with the number 0.
		name: "cluster-staged", about: "the leader, alone, takes events, and is killed before it can store them",
		nats: 3, bridges: 1, must: []string{natsKills, spooled},
		faults: func(w *world) error {
			leader, err := w.streamLeader()
			if err != nil {
				return err
			}
			w.tally.add(natsKills, 3)
			followers := slices.DeleteFunc(slices.Clone(w.nats), func(s *natsServer) bool { return s == leader })
			for _, s := range followers {
				s.kill()
			}
			w.passes(3 * time.Second)
			leader.kill()
			for _, s := range followers {
				if err := s.start(); err != nil {
					return err
				}
			}
			_, err = w.streamLeader() // another one: heal starts the first
			return err
		},
	},
}

// stepDown makes the stream's leader step down.
func (w *world) stepDown() error {
	return poll.Try(w.ctx, patiently, "the leader steps down", func(context.Context) error {
		answer, err := w.outside.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+eventsStream, nil, 2*time.Second)
		if err != nil {
			return fmt.Errorf("asking it to: %w", err)
		}
		_ = answer // a refusal, where there is no leader, is as good
		return nil
	})
}
