//go:build linux

package main

import (
	"errors"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Random faults, sometimes two at a time.
var randomScenarios = []scenario{
	{name: "random-embedded", about: "random faults, the bridge with its own server", nats: 0, bridges: 1, faults: atRandom(processFaults)},
	{name: "random-single", about: "random faults, three bridges and one nats-server", nats: 1, bridges: 3, faults: atRandom(processFaults, natsFaults, accountFaults)},
	{
		name: "random-disk", about: "random faults, two bridges with small disks that fill, and one nats-server", nats: 1, bridges: 2,
		rules: rules{disorder: true, refuses: true}, faults: atRandom(processFaults, natsFaults, diskFaults, diskFaults),
		prepare: func(w *world) error {
			return errors.Join(w.mountTmpfs(w.bridges[0].dir, "24m"), w.mountTmpfs(w.bridges[1].dir, "24m"))
		},
	},
	{name: "random-cluster", about: "random faults, two bridges and a cluster", nats: 3, bridges: 2, faults: atRandom(processFaults, natsFaults, clusterFaults)},
}

// fault begins a fault, and returns the function that ends it.
type fault struct {
	name  string
	begin func(*world) (end func() error, err error)
}

func nothing() error { return nil }

var processFaults = []fault{
	{"kill bridge", func(w *world) (func() error, error) {
		b := w.anyBridge()
		b.kill()
		return func() error { return b.start(w.ctx) }, nil
	}},
	{"pause bridge", func(w *world) (func() error, error) {
		b := w.anyBridge()
		b.pause()
		return func() error { b.resume(); return nil }, nil
	}},
	{"restart bridge", func(w *world) (func() error, error) {
		b := w.anyBridge()
		b.resume()
		return nothing, w.restartBridge(b)
	}},
}

var natsFaults = []fault{
	{"kill NATS", func(w *world) (func() error, error) {
		s := w.anyNATS()
		w.down(s)
		return s.start, nil
	}},
	{"pause NATS", func(w *world) (func() error, error) {
		w.tally.add(natsPauses, 1)
		s := w.anyNATS()
		s.pause()
		return func() error { s.resume(); return nil }, nil
	}},
	{"toxic", func(w *world) (func() error, error) {
		w.tally.add("toxics", 1)
		s, t := w.anyNATS(), toxics[w.rng.IntN(len(toxics))]
		w.say("%s %s", t.name, t.direction)
		if err := s.proxy.heal(); err != nil { // of another toxic, if there is one
			return nil, err
		}
		return s.proxy.heal, s.proxy.poison(t.name, t.direction, t.attributes)
	}},
	{"cut", func(w *world) (func() error, error) {
		for _, s := range w.nats {
			s.proxy.cut()
		}
		return func() error {
			for _, s := range w.nats {
				if err := s.proxy.heal(); err != nil {
					return err
				}
			}
			return nil
		}, nil
	}},
}

var diskFaults = []fault{
	{"fill disk", func(w *world) (func() error, error) {
		w.tally.add("disks filled", 1)
		ballast, err := fill(w.anyBridge().dir)
		return func() error {
			if err := os.Remove(ballast); !errors.Is(err, os.ErrNotExist) { // it may have been filled twice
				return err
			}
			return nil
		}, err
	}},
}

var accountFaults = []fault{
	{"credentials", func(w *world) (func() error, error) {
		return func() error { return w.nats[0].reload(mayAll) }, w.nats[0].reload(changed)
	}},
	{"stream full", func(w *world) (func() error, error) {
		w.nats[0].resume()
		if err := w.nats[0].start(); err != nil {
			return nil, err
		}
		limit := func(n int64) error {
			w.nats[0].resume()
			if err := w.nats[0].start(); err != nil {
				return err
			}
			return w.outside.change(w.ctx, func(c *jetstream.StreamConfig) { c.MaxMsgs = n })
		}
		return func() error { return limit(-1) }, limit(10)
	}},
}

var clusterFaults = []fault{
	{"step down", func(w *world) (func() error, error) {
		for _, s := range w.nats {
			s.resume()
			if err := s.start(); err != nil {
				return nil, err
			}
		}
		return nothing, w.stepDown()
	}},
	{"lose quorum", func(w *world) (func() error, error) {
		w.tally.add(natsKills, 2)
		one := w.rng.IntN(3)
		two := (one + 1) % 3
		w.nats[one].kill()
		w.nats[two].kill()
		return func() error {
			if err := w.nats[one].start(); err != nil {
				return err
			}
			return w.nats[two].start()
		}, nil
	}},
}

// atRandom causes random faults. Each lasts for some time, and some begin before the last one has
// ended.
func atRandom(kinds ...[]fault) func(*world) error {
	var all []fault
	for _, k := range kinds {
		all = append(all, k...)
	}
	return func(w *world) error {
		last := nothing
		for range 6 {
			f := all[w.rng.IntN(len(all))]
			overlaps := w.rng.IntN(3) == 0
			w.say("%s, overlapping %t", f.name, overlaps)
			end, err := f.begin(w)
			if err != nil {
				return err
			}
			if err := last(); err != nil {
				return err
			}
			w.passes(time.Second)
			if last = end; overlaps {
				continue
			}
			if err := last(); err != nil {
				return err
			}
			last = nothing
			w.passes(500 * time.Millisecond)
		}
		return last()
	}
}
