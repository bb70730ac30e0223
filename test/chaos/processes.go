//go:build linux

package main

import (
	"time"
)

// Scenarios with processes that are killed and paused.
var processScenarios = []scenario{
	{
		name: "embedded", about: "the bridge with its own server is killed, and restarted under load",
		nats: 0, bridges: 1, must: []string{kills, restarts, cutOff},
		faults: func(w *world) error {
			for range 2 {
				if err := w.killBridge(w.bridges[0], 200*time.Millisecond); err != nil {
					return err
				}
				w.passes(time.Second)
				if err := w.restartBridge(w.bridges[0]); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
	{
		name: "nats-kill", about: "NATS is killed, twice",
		nats: 1, bridges: 1, must: []string{spooled, natsKills},
		faults: func(w *world) error {
			for range 2 { // the second time with an empty spool, or order couldn't be told
				if err := w.killNATS(w.nats[0], 1500*time.Millisecond); err != nil {
					return err
				}
				if err := w.settle(); err != nil {
					return err
				}
				w.passes(time.Second)
			}
			return nil
		},
	},
	{
		name: "nats-pause", about: "NATS is paused: it takes what is sent, and acknowledges it when nobody waits any more",
		nats: 1, bridges: 2, must: []string{ambiguous, spooled, suppressed, breakers, natsPauses},
		faults: func(w *world) error {
			for range 3 {
				w.pauseNATS(w.nats[0], 1500*time.Millisecond)
				w.passes(1500 * time.Millisecond)
			}
			return nil
		},
	},
	{
		name: "bridge-kill", about: "bridges are killed, with NATS there and with NATS away",
		nats: 1, bridges: 2, must: []string{kills, spooled, suppressed},
		faults: func(w *world) error {
			for range 2 {
				if err := w.killBridge(w.anyBridge(), 100*time.Millisecond); err != nil {
					return err
				}
				w.passes(700 * time.Millisecond)
			}
			w.down(w.nats[0])
			for range 3 {
				w.passes(700 * time.Millisecond)
				if err := w.killBridge(w.anyBridge(), 100*time.Millisecond); err != nil {
					return err
				}
			}
			if err := w.nats[0].start(); err != nil {
				return err
			}
			w.passes(50 * time.Millisecond) // while the spool is being delivered
			if err := w.killBridge(w.anyBridge(), 100*time.Millisecond); err != nil {
				return err
			}
			w.suppresses()
			return nil
		},
	},
	{
		name: "bridge-pause", about: "bridges are paused, while NATS is there and while it is killed",
		nats: 1, bridges: 2, must: []string{pauses, felt, natsKills, spooled},
		faults: func(w *world) error {
			for range 2 {
				w.pauseBridge(w.anyBridge(), 700*time.Millisecond)
				w.passes(500 * time.Millisecond)
			}
			b := w.anyBridge()
			b.pause()
			err := w.killNATS(w.nats[0], 700*time.Millisecond)
			b.resume()
			w.passes(time.Second)
			return err
		},
	},
}

// down kills a server of NATS.
func (w *world) down(s *natsServer) {
	w.tally.add(natsKills, 1)
	s.kill()
}

func (w *world) killNATS(s *natsServer, away time.Duration) error {
	w.down(s)
	w.passes(away)
	return s.start()
}

func (w *world) pauseNATS(s *natsServer, away time.Duration) {
	w.tally.add(natsPauses, 1)
	s.pause()
	w.passes(away)
	s.resume()
}

func (w *world) killBridge(b *bridge, away time.Duration) error {
	b.kill()
	w.passes(away)
	return b.start(w.ctx)
}

func (w *world) pauseBridge(b *bridge, away time.Duration) {
	b.pause()
	w.passes(away)
	b.resume()
}

// restartBridge restarts a bridge as an operator does; it must end with status 0.
func (w *world) restartBridge(b *bridge) error {
	if b.proc.Runs() {
		if err := b.stop(); err != nil {
			w.ledger.lock.Lock()
			w.ledger.wrong("%v", err)
			w.ledger.lock.Unlock()
		}
	}
	return b.start(w.ctx)
}
