package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

func drainCommand(prog program) *cobra.Command {
	var patience time.Duration
	c := &cobra.Command{
		Use:   "drain DIR",
		Short: "Deliver the spool of an instance that is gone",
		Long: `Deliver a spool that no bridge has open, as a bridge does: in order, each record to the stream of
its kind. A record that the stream has already counts as delivered. If it may have been stored
longer ago than the stream recognises duplicates, it is looked up first. DIR is DATA_DIR/spool of
the bridge that is gone.

Records that could not be delivered stay in the spool and are listed on standard output, and the
exit status is 1. The spool can be drained again.`,
		Example: "  NATS_URL=nats://nats:4222 bridge spool drain /mnt/old/spool",
		Args:    takes(1, 1, "the directory of a spool"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			if patience <= 0 {
				return usagef("--timeout: got %s; takes more than 0s", patience)
			}
			if _, err := spool.Read(args[0], func(*spool.Record) error { return errEnough }); err != nil && !errors.Is(err, errEnough) {
				return unreadableSpool(args[0], err) // found before drain opens it, which would create it
			}
			return nil
		},
		RunE: prog.withNATS(drainVariables, func(ctx context.Context, s *session, args []string) error {
			return s.drain(ctx, args[0], patience)
		}),
	}
	c.Flags().DurationVar(&patience, "timeout", time.Minute, "give up after this long without progress")
	return c
}

// drain opens a spool and delivers it by a relay.
func (s *session) drain(ctx context.Context, dir string, patience time.Duration) error {
	log := telemetry.NewLogger(s.err, "console", "warn").Logger
	from, err := spool.Open(spool.Config{Dir: dir, MaxBytes: math.MaxInt64 / 2, Log: log})
	if err != nil {
		return unreadableSpool(dir, err)
	}
	to, err := openPublisher(ctx, s.cfg)
	if err != nil {
		return errors.Join(err, from.Close(context.WithoutCancel(ctx)))
	}
	d := &drainer{program: s.program, spool: from, outcomes: make(map[string]int)}
	kinds := []publish.Kind{publish.Event, publish.Quarantined, publish.Refused}
	r := relay.Start(relay.Config{
		Publisher: to, Spool: from, Kinds: kinds, Timeout: ackTimeout, Reach: reachOf(s.cfg, to.Window(publish.Event)),
		RetrySetAside: retryEvery, Observer: d, Log: log, Now: time.Now,
	})
	d.wait(ctx, patience)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := errors.Join(r.Close(closing), to.Close(closing), from.Close(closing)); err != nil {
		log.Warn("closing took too long: some records may be delivered again", zap.Error(err))
	}
	return d.end(ctx, dir)
}

// drainVariables matches the variables of drain. The tolerances bound how long before a record's
// arrival a copy can have been stored.
var drainVariables = slices.Concat(streamVariables, []string{"*_TOLERANCE"})

const (
	// retryEvery is how often records that are set aside are tried again, and setAsidePatience is
	// how long after all others are delivered.
	retryEvery       = time.Second
	setAsidePatience = 5 * time.Second
)

// drainer is one run of drain.
type drainer struct {
	program
	spool *spool.Spool

	mu       sync.Mutex
	outcomes map[string]int
	possible int
}

// Published counts the outcome of an attempt.
func (d *drainer) Published(_ publish.Kind, _, outcome string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outcomes[outcome]++
}

// PossiblyDuplicate counts a message that may be stored twice.
func (d *drainer) PossiblyDuplicate(publish.Kind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.possible++
}

// left returns how many records wait, and how many are set aside.
func (d *drainer) left() (waiting, setAside int64) {
	stats := d.spool.Stats()
	for _, n := range stats.Queued {
		waiting += n
	}
	return waiting, stats.SetAside
}

// wait waits until all is delivered, nothing more can be, or the context ends.
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

// end prints the result, and lists what is left.
func (d *drainer) end(ctx context.Context, dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.say("%d stored, %d duplicate, %d found stored already, %d possible duplicates",
		d.outcomes[string(publish.Stored)], d.outcomes[string(publish.Duplicate)], d.outcomes[relay.Found], d.possible)
	waiting, setAside := d.left()
	left := waiting + setAside
	if left == 0 {
		return nil
	}
	if err := d.printSpool(context.WithoutCancel(ctx), dir, false); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %d records are left in %s", left, dir)
	}
	return fmt.Errorf("%d records could not be delivered and are left in %s; %d of them are set aside", left, dir, setAside)
}
