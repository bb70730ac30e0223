package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

func spoolCommand(prog program) *cobra.Command {
	c := &cobra.Command{
		Use:   "spool",
		Short: "List a spool, or deliver the spool of an instance that is gone",
		Long: `List a spool, or deliver the spool of an instance that is gone. A bridge that starts with the same
DATA_DIR delivers its spool by itself; use drain if no bridge will start with it.`,
		Example: `  bridge spool list /mnt/old/spool
  NATS_URL=nats://nats:4222 bridge spool drain /mnt/old/spool`,
	}
	c.AddCommand(spoolListCommand(prog), spoolDrainCommand(prog))
	return c
}

func spoolListCommand(prog program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [DIR]",
		Short: "List the records of a spool",
		Long: `List the records of a spool, one per line: time of arrival, kind, subject, size and id; for a record
that is set aside, also why NATS refused it. Nothing is changed, and a bridge may be using the
spool. DIR is the spool's directory; the default is DATA_DIR/spool.`,
		Example: "  bridge spool list\n  bridge spool list /mnt/old/spool --json",
		Args:    takes(0, 1, "at most one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return prog.printSpool(c.Context(), args[0], asJSON)
			}
			cfg, err := prog.load("DATA_DIR")
			if err != nil {
				return err
			}
			return prog.printSpool(c.Context(), app.SpoolDir(cfg), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line: kind, subject, id, arrived, attempted, bytes, reason")
	return c
}

// printSpool prints every record of a spool, and on standard error how many there are.
func (p program) printSpool(ctx context.Context, dir string, asJSON bool) error {
	out := bufio.NewWriterSize(p.out, 64<<10)
	all, setAside, size := 0, 0, 0
	damaged, err := spool.Read(dir, func(r *spool.Record) error {
		all++
		size += len(r.Data)
		if r.Reason != "" {
			setAside++
		}
		printRecord(out, r, asJSON)
		return ctx.Err()
	})
	_ = out.Flush()
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("%w after %s", errInterrupted, config.Count(all, "record"))
	case err != nil:
		return unreadableSpool(dir, err)
	}
	p.say("%s in %s, %d of them set aside; %s", config.Count(all, "record"), dir, setAside, config.Count(size, "byte"))
	if damaged != nil {
		return fmt.Errorf("the spool in %s is damaged, and these records can still be read: %w", dir, damaged)
	}
	return nil
}

func printRecord(w io.Writer, r *spool.Record, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(w).Encode(struct {
			Kind      string    `json:"kind"`
			Subject   string    `json:"subject"`
			ID        string    `json:"id"`
			Arrived   time.Time `json:"arrived"`
			Attempted time.Time `json:"attempted,omitzero"`
			Bytes     int       `json:"bytes"`
			Reason    string    `json:"reason,omitempty"`
		}{r.Kind.String(), r.Subject, r.ID, r.Arrived, r.Attempted, len(r.Data), r.Reason})
		return
	}
	line := fmt.Sprintf("%s  %s  %s  %s  id %s", formatTime(r.Arrived, time.Now()), r.Kind, r.Subject, config.Count(len(r.Data), "byte"), r.ID)
	if r.Reason != "" {
		line += "  set aside: " + r.Reason
	}
	_, _ = fmt.Fprintln(w, printable(line))
}

// unreadableSpool adds to an error of opening a spool what to do.
func unreadableSpool(dir string, err error) error {
	switch {
	case errors.Is(err, fileio.ErrInUse):
		return fmt.Errorf("%w: a bridge uses this spool and delivers it; `bridge spool list %s` shows what is in it", err, dir)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("there is no spool in %s; give the directory DATA_DIR/spool of the bridge", dir)
	}
	return err
}

func spoolDrainCommand(prog program) *cobra.Command {
	var patience time.Duration
	c := &cobra.Command{
		Use:   "drain DIR",
		Short: "Deliver the spool of an instance that is gone",
		Long: `Deliver a spool that no bridge has open, as a bridge does: in order, each record to the stream of
its kind. A record that the stream has already counts as delivered. If it may have been stored
longer ago than the stream recognises duplicates, it is looked up first. DIR is DATA_DIR/spool of
the bridge that is gone.

Records that could not be delivered stay in the spool and are listed on standard output. If there
are any, or some can't be read, the exit status is 1. The spool can be drained again.`,
		Example: "  NATS_URL=nats://nats:4222 bridge spool drain /mnt/old/spool",
		Args:    takes(1, 1, "the directory of a spool"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			if patience <= 0 {
				return usagef("--timeout: got %s; takes more than 0s", patience)
			}
			if _, err := spool.Read(args[0], func(*spool.Record) error { return errEnough }); err != nil && !errors.Is(err, errEnough) {
				return unreadableSpool(args[0], err) // checked here, because drain would create the spool
			}
			return nil
		},
		RunE: prog.withNATS(drainVariables, func(ctx context.Context, s *session, args []string) error {
			return s.drain(ctx, args[0], patience)
		}, func(o *nats.Options) error { // runs when the flags are parsed
			o.Timeout = min(o.Timeout, patience)
			return nil
		}),
	}
	c.Flags().DurationVar(&patience, "timeout", time.Minute, "give up after this long without progress")
	return c
}

// drain opens a spool and delivers it, as the bridge does.
func (s *session) drain(ctx context.Context, dir string, patience time.Duration) error {
	log := telemetry.NewLogger(s.prog.err, "console", "warn").Logger
	from, err := spool.Open(spool.Config{Dir: dir, MaxBytes: math.MaxInt64 / 2, ReadPatience: patience / 2, Log: log})
	if err != nil {
		return unreadableSpool(dir, err)
	}
	settling, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	to, err := s.publisher(settling)
	if err != nil {
		return errors.Join(err, from.Close(context.WithoutCancel(ctx)))
	}
	d := &drainer{prog: s.prog, spool: from, outcomes: make(map[string]int)}
	r := relay.Start(relay.Config{
		Publisher: to, Spool: from,
		// The configured window is longer than the span in which a delivery is accepted.
		Reach:         max(s.cfg.StreamDuplicates, to.Window(publish.Event)),
		RetrySetAside: retryEvery, Observer: d, Log: log, Now: time.Now,
	})
	d.wait(ctx, patience)
	closing, end := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer end()
	if err := errors.Join(r.Close(closing), to.Close(closing), from.Close(closing)); err != nil {
		log.Warn("closing took too long: some records may be delivered again", zap.Error(err))
	}
	return d.end(ctx, dir)
}

// drainVariables matches the variables of drain. The last two bound how long before a record arrived a copy
// of it may have been stored.
var drainVariables = slices.Concat(streamVariables, []string{"*_TOLERANCE", "STREAM_DUPLICATES"})

const (
	// retryEvery is the interval at which records that are set aside are tried again. setAsidePatience is
	// for how long, once all others are delivered.
	retryEvery       = time.Second
	setAsidePatience = 5 * time.Second
)

// drainer counts the outcomes of draining a spool.
type drainer struct {
	prog  program
	spool *spool.Spool

	mu       sync.Mutex
	outcomes map[string]int
}

func (d *drainer) Published(_ publish.Kind, _, outcome string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outcomes[outcome]++
}

func (d *drainer) PossiblyDuplicate(kind publish.Kind) { d.Published(kind, "", "possible") }

// left returns how many records are waiting, and how many are set aside.
func (d *drainer) left() (waiting, setAside int64) {
	stats := d.spool.Stats()
	for _, n := range stats.Queued {
		waiting += n
	}
	return waiting, stats.SetAside
}

// wait waits until all records are delivered, there is no progress for that long, or the context ends.
func (d *drainer) wait(ctx context.Context, patience time.Duration) {
	var last [3]int64
	since := time.Now()
	for ctx.Err() == nil {
		waiting, setAside := d.left()
		read, _, _ := d.spool.Recovery() // of a slow disk
		if now := [...]int64{waiting, setAside, read}; now != last {
			last, since = now, time.Now()
		}
		idle := time.Since(since)
		if waiting == 0 && (setAside == 0 || idle > min(patience, setAsidePatience)) || idle > patience {
			return
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

// end prints the counts and the records that are left.
func (d *drainer) end(ctx context.Context, dir string) error {
	d.mu.Lock() // the relay may still run, if closing it took too long
	defer d.mu.Unlock()
	d.prog.say("%d stored, %d duplicate, %d found stored already, %s", d.outcomes[string(publish.Stored)],
		d.outcomes[string(publish.Duplicate)], d.outcomes[relay.Found], config.Count(d.outcomes["possible"], "possible duplicate"))
	waiting, setAside := d.left()
	left := waiting + setAside
	damaged, _ := fs.Glob(os.DirFS(dir), "*.damaged")
	switch {
	case left == 0 && len(damaged) > 0:
		return fmt.Errorf("some records in %s can't be read; docs/operations.md#log-lines says what to do", filepath.Join(dir, damaged[0]))
	case left == 0:
		return nil
	}
	if err := d.prog.printSpool(context.WithoutCancel(ctx), dir, false); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w, with %s left in %s", errInterrupted, config.Count(left, "record"), dir)
	}
	return fmt.Errorf("could not deliver %s, left in %s; %d of them set aside", config.Count(left, "record"), dir, setAside)
}
