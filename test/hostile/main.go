//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// options are the command line's.
type options struct {
	short  bool
	list   bool
	attack string
}

func main() {
	play := run
	if os.Getenv(envAddr) != "" {
		play = besiege
	}
	process.Main("hostile", play)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("hostile", flag.ContinueOnError)
	flags.BoolVar(&o.short, "short", false, "each attack for some seconds")
	flags.BoolVar(&o.list, "list", false, "list the attacks")
	flags.StringVar(&o.attack, "attack", "", "only the attack of this name")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("takes no arguments, got %q", flags.Args())
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	var chosen []attack
	for _, a := range attacks {
		if o.attack == "" || o.attack == a.name {
			chosen = append(chosen, a)
		}
		if o.list {
			fmt.Fprintf(out, "%-18s %s\n", a.name, a.about)
		}
	}
	switch {
	case o.list:
		return nil
	case len(chosen) == 0:
		return fmt.Errorf("-attack: there is no %q; -list lists them", o.attack)
	}
	dir, err := os.MkdirTemp("", "hostile-")
	if err != nil {
		return fmt.Errorf("making directory: %w", err)
	}
	if err := playAll(ctx, o, chosen, dir, out); err != nil {
		return fmt.Errorf("%w; logs are in %s", err, dir)
	}
	return os.RemoveAll(dir)
}

// playAll plays the attacks one after another and reports whether all went well.
func playAll(ctx context.Context, o options, chosen []attack, dir string, out io.Writer) error {
	stage, err := newStage(ctx, dir)
	if err != nil {
		return err
	}
	defer stage.close()
	began, failed := time.Now(), 0
	how := newContainer(fmt.Sprintf("hostile-%d", os.Getpid()), 0)
	fmt.Fprintf(out, "against the attacks with heads the bridge has %d MB, by %s\n", memoryLimit>>20, how)
	if err := how.close(); err != nil {
		return err
	}
	fmt.Fprint(out, header)
	for i, a := range chosen {
		r, err := stage.play(ctx, a, i, o.short)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		r.print(out)
		if len(r.violations) > 0 {
			failed++
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Fprintf(out, "\n%d attacks in %s", len(chosen), time.Since(began).Round(time.Second))
	if failed > 0 {
		fmt.Fprintf(out, ", FAIL\n")
		return fmt.Errorf("%d of %d attacks got through", failed, len(chosen))
	}
	fmt.Fprintf(out, ", PASS\n")
	return nil
}
