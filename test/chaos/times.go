//go:build linux

package main

import (
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Scenarios with clocks that step, and outages that last longer than the duplicate window.
var timeScenarios = []scenario{
	{
		name: "clock", about: "the bridge's clock steps, forth and back, while NATS is there and while it is away",
		nats: 1, bridges: 1, must: []string{spooled, quarantined, "answered stale", "answered future"},
		rules: rules{also: map[string]bool{"stale": true, "future": true}},
		prepare: func(w *world) error {
			b := w.bridges[0]
			binary, err := w.binaries.stepped()
			b.command[0] = binary
			b.env = append(b.env, "CHAOS_CLOCK="+w.clock())
			if err != nil {
				return err
			}
			return step(w.clock(), 0)
		},
		faults: func(w *world) error {
			for i, to := range []time.Duration{3 * time.Minute, 10 * time.Minute, -3 * time.Minute, 0, -10 * time.Minute, 24 * time.Hour, 0} {
				if i == 1 || i == 4 {
					w.down(w.nats[0])
					w.passes(300 * time.Millisecond)
				}
				if err := step(w.clock(), to); err != nil {
					return err
				}
				w.passes(500 * time.Millisecond)
				if err := w.nats[0].start(); err != nil {
					return err
				}
				w.passes(500 * time.Millisecond)
			}
			return nil
		},
	},
	{
		name: "short-window", about: "the stream remembers ids for 2 s only; acknowledgements are lost, and NATS is away for longer than that",
		nats: 1, bridges: 2, env: unmanaged, must: []string{ambiguous, spooled, found},
		prepare: makesStreams(func(c *jetstream.StreamConfig) { c.Duplicates = 2 * time.Second }),
		faults: func(w *world) error {
			if err := w.poison(w.nats[0], toxic{"timeout", fromNATS, `"timeout":0`}, 3500*time.Millisecond); err != nil {
				return err
			}
			w.passes(700 * time.Millisecond)
			if err := w.killNATS(w.nats[0], 3*time.Second); err != nil {
				return err
			}
			w.passes(700 * time.Millisecond)
			return nil
		},
	},
	{
		name: "raised-window", about: "acknowledgements are lost for longer than the stream remembers ids, and meanwhile its window is raised",
		nats: 1, bridges: 2, env: unmanaged, must: []string{ambiguous, spooled, found},
		prepare: makesStreams(func(c *jetstream.StreamConfig) { c.Duplicates = 2 * time.Second }),
		faults: func(w *world) error {
			if err := w.nats[0].proxy.poison("timeout", fromNATS, `"timeout":0`); err != nil {
				return err
			}
			w.passes(3500 * time.Millisecond)
			if err := w.outside.change(w.ctx, func(c *jetstream.StreamConfig) { c.Duplicates = 25 * time.Hour }); err != nil {
				return err
			}
			if err := w.nats[0].proxy.heal(); err != nil {
				return err
			}
			w.passes(700 * time.Millisecond)
			return nil
		},
	},
}

func (w *world) clock() string { return filepath.Join(w.dir, "clock") }
