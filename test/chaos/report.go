//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// report prints a line for each scenario and a table at the end.
type report struct {
	out        io.Writer
	options    options
	began      time.Time
	said       time.Time // when the totals were last said
	tally      *tally
	runs       int
	played     map[string]bool
	slowest    time.Duration
	memory     int64
	violations int
	failed     []string // commands that play again what failed
}

func newReport(out io.Writer, o options) *report {
	return &report{out: out, options: o, tally: &tally{}, played: make(map[string]bool)}
}

func (r *report) say(format string, args ...any) {
	fmt.Fprintf(r.out, "    "+time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

func (r *report) begin() {
	r.began, r.said = time.Now(), time.Now()
	fmt.Fprintf(r.out, "seed %d, begun at %s\n", r.options.seed, r.began.UTC().Format(time.RFC3339))
}

// add adds a run.
func (r *report) add(one result) {
	r.runs++
	r.played[one.scenario.name] = true
	r.tally.merge(one.tally)
	r.slowest, r.memory = max(r.slowest, one.slowest), max(r.memory, one.memory)
	r.violations += len(one.violations)
	verdict := "ok  "
	if len(one.violations) > 0 {
		verdict = "FAIL"
		r.failed = append(r.failed, command(one.scenario.name, one.seed))
	}
	fmt.Fprintf(r.out, "%s %-16s seed %-7d %4.1f s, slowest answer %d ms, %d MiB: %s\n", verdict, one.scenario.name, one.seed, one.took.Seconds(), one.slowest.Milliseconds(), one.memory>>20, inWords(one.tally.all()))
	const most = 10
	for i, v := range one.violations {
		if i == most {
			r.say("and %d more", len(one.violations)-most)
			break
		}
		r.say("%s", v)
	}
	if one.logs != "" {
		r.say("logs: %s; again: %s", one.logs, command(one.scenario.name, one.seed))
	}
	if time.Since(r.said) >= time.Minute {
		r.said = time.Now()
		fmt.Fprintf(r.out, "---- after %s: %d runs, %d violations, slowest answer %d ms: %s\n", time.Since(r.began).Round(time.Second), r.runs, r.violations, r.slowest.Milliseconds(), inWords(r.tally.all()))
	}
}

func command(scenario string, seed uint64) string {
	return fmt.Sprintf("go run ./test/chaos -scenario %s -seed %d", scenario, seed)
}

func inWords(n map[string]int) string {
	var words []string
	for _, what := range names(n) {
		words = append(words, fmt.Sprintf("%s %d", what, n[what]))
	}
	return strings.Join(words, ", ")
}

// met lists the counts that a run of all scenarios must have.
var met = []string{
	promises, ambiguous, spooled, suppressed, found, leaders, breakers, aside, quarantined, listed, forgeries, hungUp, workedOn, inOrder,
	restarts, kills, pauses, natsKills, natsPauses,
}

// end prints the table and reports whether all is well.
func (r *report) end(control time.Duration) error {
	n := r.tally.all()
	fmt.Fprintf(r.out, "\n%d runs of %d scenarios in %s\n", r.runs, len(r.played), time.Since(r.began).Round(time.Second))
	for _, what := range names(n) {
		fmt.Fprintf(r.out, "  %-28s %9d\n", what, n[what])
	}
	fmt.Fprintf(r.out, "  %-28s %6d ms (the control, which does nothing: %d ms)\n", "slowest answer", r.slowest.Milliseconds(), control.Milliseconds())
	fmt.Fprintf(r.out, "  %-28s %6d MiB\n", "most memory of a bridge", r.memory>>20)
	fmt.Fprintf(r.out, "  %-28s %9d\n", "violations", r.violations)
	var missing []string
	if len(r.played) == len(scenarios) {
		for _, what := range met {
			if n[what] == 0 {
				missing = append(missing, what)
			}
		}
	}
	switch {
	case r.violations > 0:
		fmt.Fprintf(r.out, "FAIL, seed %d; again:\n  %s\n", r.options.seed, strings.Join(r.failed, "\n  "))
		return errors.New("what was promised wasn't kept")
	case len(missing) > 0:
		fmt.Fprintf(r.out, "FAIL, seed %d: it didn't meet what it came for: %s\n", r.options.seed, strings.Join(missing, ", "))
		return errors.New("it didn't meet what it came for")
	case float64(n[unjudged]) > mostUnjudged*float64(n[deliveries]):
		fmt.Fprintf(r.out, "FAIL, seed %d: the machine stood still too often: of %d deliveries it can't be told if the bridge was in time\n", r.options.seed, n[unjudged])
		return errors.New("the machine is too slow to judge")
	}
	fmt.Fprintf(r.out, "PASS, seed %d\n", r.options.seed)
	return nil
}
