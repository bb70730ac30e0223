//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// scenario is a deployment, and the faults that happen to it while senders send.
type scenario struct {
	name, about string
	nats        int  // servers; 0 is the bridge's own, 3 are a cluster
	leaf        bool // of two servers, the first is a hub and the second its leaf node
	bridges     int
	env         []string
	prepare     func(*world) error // before the bridges start
	faults      func(*world) error
	must        []string // what is counted, and must have happened
	rules       rules
}

// result is the result of one run of a scenario.
type result struct {
	scenario   scenario
	seed       uint64
	tally      *tally
	slowest    time.Duration
	memory     int64 // the most that a bridge had resident, in bytes
	took       time.Duration
	violations []string
	logs       string // where the logs are, of a run that failed
}

// play runs a scenario once.
func play(ctx context.Context, s scenario, seed uint64, root string, b binaries, c *control, say func(string, ...any)) (r result, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	r = result{scenario: s, seed: seed, tally: &tally{}}
	dir := filepath.Join(root, fmt.Sprintf("%s-%d", s.name, seed))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, fmt.Errorf("making directory: %w", err)
	}
	w, err := newWorld(ctx, s, seed, dir, b, c, say)
	if err != nil {
		return r, err
	}
	defer w.close()
	err = w.play()
	if ctx.Err() != nil && err != nil {
		return r, err
	}
	if err != nil {
		w.ledger.wrong("%v", err)
	}
	w.ledger.judgeDoubts()
	for _, what := range s.must {
		if w.tally.of(what) == 0 {
			w.ledger.wrong("it didn't meet what it came for: no %s", what)
		}
	}
	r.tally, r.slowest, r.memory, r.violations, r.took = w.tally, w.ledger.slowest, w.memory, w.ledger.violations, time.Since(began)
	w.close()
	if len(r.violations) > 0 {
		r.logs = dir
		return r, nil
	}
	return r, os.RemoveAll(dir)
}

// play lets the senders send during the faults, and then checks the result.
func (w *world) play() error {
	defer w.count()
	w.load.start(w.ctx)
	w.passes(500 * time.Millisecond)
	err := w.scenario.faults(w)
	w.passes(500 * time.Millisecond)
	w.load.end()
	if err != nil {
		return fmt.Errorf("making faults: %w", err)
	}
	w.say("faults are over")
	if err := w.heal(); err != nil {
		return err
	}
	w.say("healed")
	if err := w.settle(); err != nil {
		return err
	}
	w.say("every spool is empty")
	if err := w.recovers(); err != nil {
		return err
	}
	if err := w.settle(); err != nil { // where the disk fails, the last one may have gone past others in the spool
		return err
	}
	w.say("every bridge takes events directly")
	f, err := w.find()
	if err != nil {
		return err
	}
	w.ledger.check(f)
	return nil
}

// scenarios lists all scenarios, in the order of the short run.
var scenarios = slices.Concat(processScenarios, clusterScenarios, leafScenarios, networkScenarios, diskScenarios, streamScenarios, upgradeScenarios, timeScenarios, fleetScenarios, randomScenarios)

func scenarioNamed(name string) (scenario, bool) {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return scenario{}, false
	}
	return scenarios[i], true
}

// choose returns the scenarios of these names, all where there are none.
func choose(names string) (chosen []scenario, err error) {
	if names == "" {
		return scenarios, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		s, ok := scenarioNamed(name)
		if !ok {
			return nil, fmt.Errorf("-scenario: there is no %q; -list lists them", name)
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}
