//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// options are the command line's.
type options struct {
	seed     uint64
	duration time.Duration
	short    bool
	list     bool
	scenario string
	nats     string
	verbose  bool
}

func main() {
	if addr := os.Getenv(envControl); addr != "" {
		_ = serveControl(addr)
		return
	}
	process.Main("chaos", run)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1_000_000), "what the faults are drawn from")
	flags.DurationVar(&o.duration, "duration", 0, "go on for so long, and end after the scenario that runs then")
	flags.BoolVar(&o.short, "short", false, "each scenario once; this is also what happens without -duration")
	flags.StringVar(&o.scenario, "scenario", "", "only the scenarios of these names, comma-separated")
	flags.StringVar(&o.nats, "nats", "", "the nats-server to run; without it the module's own is built")
	flags.BoolVar(&o.list, "list", false, "list the scenarios")
	flags.BoolVar(&o.verbose, "v", false, "say what is done")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("takes no arguments, got %q", flags.Args())
	}
	if o.short && o.duration > 0 {
		return o, errors.New("-short and -duration exclude each other")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.list {
		for _, s := range scenarios {
			fmt.Fprintf(out, "%-16s %s\n", s.name, s.about)
		}
		return nil
	}
	chosen, err := choose(o.scenario)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return fmt.Errorf("making directory: %w", err)
	}
	r := newReport(out, o)
	b, err := build(ctx, dir, o.nats)
	if err != nil {
		return err
	}
	c, err := startControl(ctx, dir+"/control.log")
	if err != nil {
		return err
	}
	defer c.proc.Kill()
	r.begin()
	// A shared disk is slow now and then. Slow disks have scenarios of their own.
	worlds := filepath.Join(dir, "worlds")
	if err := errors.Join(os.Mkdir(worlds, 0o700), mountTmpfs(ctx, worlds, "2g")); err != nil {
		return err
	}
	if err := playAll(ctx, o, chosen, worlds, b, c, r); err != nil {
		return err
	}
	if err := r.end(c.most); err != nil {
		return fmt.Errorf("%w; logs are in %s, to be unmounted", err, worlds)
	}
	return errors.Join(unmount(ctx, worlds), os.RemoveAll(dir))
}

// playAll plays the scenarios once, each with the seed itself; or repeatedly in a random order
// until the time is over.
func playAll(ctx context.Context, o options, chosen []scenario, dir string, b binaries, c *control, r *report) error {
	rng := rand.New(rand.NewPCG(o.seed, 1))
	began := time.Now()
	for round := 0; ctx.Err() == nil && (round == 0 || time.Since(began) < o.duration); round++ {
		order := rng.Perm(len(chosen))
		for i := range chosen {
			s, seed := chosen[i], o.seed
			if round > 0 {
				s, seed = chosen[order[i]], rng.Uint64N(1_000_000)
			}
			if round > 0 && time.Since(began) >= o.duration {
				return nil
			}
			say := func(string, ...any) {}
			if o.verbose {
				say = r.say
			}
			one, err := play(ctx, s, seed, dir, b, c, say)
			if err == nil {
				r.add(one)
				continue
			}
			if ctx.Err() == nil {
				return fmt.Errorf("scenario %s, seed %d: %w", s.name, seed, err)
			}
			break // Ctrl-C: what was counted until now counts
		}
	}
	return nil
}
