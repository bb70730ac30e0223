//go:build linux

package main

import "time"

// Scenarios with several instances that are restarted.
var fleetScenarios = []scenario{
	{
		name: "rolling", about: "three instances behind a balancer are restarted one by one, and no delivery is lost or refused",
		nats: 1, bridges: 3, env: []string{"SHUTDOWN_DELAY=300ms"}, must: []string{restarts, hungUp}, rules: rules{lossless: true},
		faults: func(w *world) error {
			for _, i := range w.rng.Perm(len(w.bridges)) {
				if err := w.restartBridge(w.bridges[i]); err != nil {
					return err
				}
				w.passes(500 * time.Millisecond)
			}
			w.meets(hungUp, 0)
			return nil
		},
	},
	{
		name: "sigterm", about: "four instances get SIGTERM under load, with NATS there, away and coming back",
		nats: 1, bridges: 4, env: []string{"SPOOL_DRAIN_TIMEOUT=1s"}, must: []string{restarts, spooled},
		faults: func(w *world) error {
			if err := w.restartBridge(w.bridges[0]); err != nil {
				return err
			}
			w.down(w.nats[0])
			w.passes(500 * time.Millisecond)
			if err := w.restartBridge(w.bridges[1]); err != nil {
				return err
			}
			w.passes(300 * time.Millisecond)
			if err := w.nats[0].start(); err != nil {
				return err
			}
			if err := w.restartBridge(w.bridges[2]); err != nil {
				return err
			}
			w.pauseNATS(w.nats[0], time.Second)
			return w.restartBridge(w.bridges[3])
		},
	},
}
