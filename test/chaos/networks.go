//go:build linux

package main

import "time"

// Scenarios with faults of the network between the bridges and NATS.
var networkScenarios = []scenario{
	{
		name: "network", about: "latency, black holes, resets, slow closing and a thin line between the bridges and NATS",
		nats: 1, bridges: 2, must: []string{ambiguous, spooled, suppressed, breakers},
		faults: func(w *world) error {
			for _, i := range w.rng.Perm(len(toxics)) {
				if err := w.poison(w.nats[0], toxics[i], 1200*time.Millisecond); err != nil {
					return err
				}
				w.passes(400 * time.Millisecond)
			}
			return nil
		},
	},
	{
		name: "slow-acks", about: "acknowledgements take 450 ms, then 2 s, and are fast again",
		nats: 1, bridges: 2, must: []string{spooled, breakers},
		faults: func(w *world) error {
			for _, latency := range []string{`"latency":450`, `"latency":2000`} {
				if err := w.poison(w.nats[0], toxic{"latency", fromNATS, latency}, 5*time.Second); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
	{
		name: "lost-acks", about: "a share of the acknowledgements is swallowed, and nothing else",
		nats: 1, bridges: 2, must: []string{spooled, suppressed},
		faults: func(w *world) error {
			for _, share := range []string{`"share":0.05`, `"share":0.5`} {
				if err := w.poison(w.nats[0], toxic{"swallow", fromNATS, share}, 4*time.Second); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
	{
		name: "partition", about: "each bridge reaches the cluster now and then only",
		nats: 3, bridges: 2, must: []string{spooled},
		faults: func(w *world) error {
			for range 3 {
				for _, s := range w.nats {
					s.proxy.cut()
				}
				w.passes(time.Second)
				for _, i := range w.rng.Perm(3) {
					if err := w.nats[i].proxy.heal(); err != nil {
						return err
					}
					w.passes(300 * time.Millisecond)
				}
			}
			return nil
		},
	},
}

// toxic is a toxic of toxiproxy, with its attributes.
type toxic struct{ name, direction, attributes string }

var toxics = []toxic{
	{"latency", "", `"latency":120,"jitter":100`},
	{"latency", fromNATS, `"latency":700,"jitter":400`},
	{"timeout", "", `"timeout":0`},       // black hole
	{"timeout", fromNATS, `"timeout":0`}, // of acknowledgements only
	{"timeout", toNATS, `"timeout":300`},
	{"reset_peer", fromNATS, `"timeout":200`},
	{"slow_close", "", `"delay":800`},
	{"bandwidth", "", `"rate":40`},
	{"limit_data", toNATS, `"bytes":60000`},
}

// poison adds a toxic to the connection with a server for a while.
func (w *world) poison(s *natsServer, t toxic, during time.Duration) error {
	w.say("%s %s", t.name, t.direction)
	w.tally.add("toxics", 1)
	if err := s.proxy.poison(t.name, t.direction, t.attributes); err != nil {
		return err
	}
	if t.name != "slow_close" {
		w.passes(during)
	} else if err := w.killNATS(s, during); err != nil { // there must be something to close
		return err
	}
	return s.proxy.heal()
}
