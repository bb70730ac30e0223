// Servers runs the scenarios of test/chaos in which NATS comes, goes and fills up, against several
// releases of nats-server, and prints a table of what came of it; docs/delivery.md has the sum.
//
//	go run ./test/servers                    # the newest of 2.10, of 2.11 and of 2.12, and the newest of all
//	go run ./test/servers v2.10.0 v2.12.1    # these
//
// Each is built by `go install`, which needs the module proxy; the rest needs what test/chaos needs.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// scenarios are what every release must pass: storing and duplicates with kill -9 and pauses, the spool
// and its draining, look-ups, orderly restarts of one and of three servers, a cluster whose leader or whose
// majority goes, a stream that is full, purged, and deleted.
const scenarios = "nats-kill,nats-pause,nats-lame-duck,nats-rolling,cluster-leader,cluster-quorum,cluster-staged,stream-full,stream-purged,stream-deleted,short-window,raised-window"

// columns are the counts that the table has, by the names that test/chaos gives them.
var columns = []string{
	"deliveries", "promises (200)", "spooled", "suppressed duplicates", "found by look-up", "kills of NATS", "orderly restarts of NATS", "leader changes", "violations",
}

func main() {
	process.Main("servers", run)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("servers", flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "what the faults are drawn from")
	if err := flags.Parse(args); err != nil {
		return err
	}
	releases := flags.Args()
	if len(releases) == 0 {
		releases = []string{"v2.10", "v2.11", "v2.12", "latest"}
	}
	dir, err := os.MkdirTemp("", "servers-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Fprintf(out, "| nats-server | %s |\n|---%s|\n", strings.Join(columns, " | "), strings.Repeat("|---", len(columns)))
	var errs []error
	for _, release := range releases {
		row, err := try(ctx, filepath.Join(dir, release), release, *seed)
		if err != nil {
			errs = append(errs, err)
		}
		if row != "" {
			fmt.Fprintln(out, row)
		}
	}
	return errors.Join(errs...)
}

// try builds a release, runs the scenarios against it, and returns its row of the table.
func try(ctx context.Context, dir, release string, seed uint64) (row string, err error) {
	install := exec.CommandContext(ctx, "go", "install", "github.com/nats-io/nats-server/v2@"+release)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if text, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building nats-server %s: %w\n%s", release, err, text)
	}
	binary := filepath.Join(dir, "nats-server")
	version, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking nats-server %s for its version: %w", release, err)
	}
	name := strings.TrimPrefix(strings.TrimSpace(string(version)), "nats-server: v")
	var text bytes.Buffer
	chaos := exec.CommandContext(ctx, "go", "run", "./test/chaos", "-nats", binary, "-scenario", scenarios, "-seed", fmt.Sprint(seed))
	chaos.Stdout, chaos.Stderr = &text, &text
	chaos.Cancel = func() error { return chaos.Process.Signal(syscall.SIGTERM) }
	if err := chaos.Run(); err != nil {
		return table(name, text.String()), fmt.Errorf("nats-server %s: %w\n%s", name, err, text.String())
	}
	return table(name, text.String()), nil
}

// table makes a row of the table that test/chaos ends with.
func table(name, text string) string {
	cells := []string{name}
	for _, column := range columns {
		n := "0" // what didn't happen isn't listed
		if m := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(column) + ` +(\d+)$`).FindStringSubmatch(text); m != nil {
			n = m[1]
		}
		cells = append(cells, n)
	}
	return "| " + strings.Join(cells, " | ") + " |"
}
