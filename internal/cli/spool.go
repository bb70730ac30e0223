package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
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
	c.AddCommand(spoolListCommand(prog), drainCommand(prog))
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
	all, events, setAside, size := 0, 0, 0, 0
	damaged, err := spool.Read(dir, func(r *spool.Record) error {
		all++
		size += len(r.Data)
		if r.Kind == publish.Event {
			events++
		}
		if r.Reason != "" {
			setAside++
		}
		printRecord(out, r, asJSON)
		return ctx.Err()
	})
	_ = out.Flush()
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("interrupted after %d records", all)
	case err != nil:
		return unreadableSpool(dir, err)
	}
	p.say("%d records in %s: %d events, %d quarantined; %d of them set aside; %d bytes",
		all, dir, events, all-events, setAside, size)
	if damaged != nil {
		return fmt.Errorf("the spool in %s is damaged, and these records can still be read: %w", dir, damaged)
	}
	return nil
}

// unreadableSpool adds to the error what to do.
func unreadableSpool(dir string, err error) error {
	switch {
	case errors.Is(err, fileio.ErrInUse):
		return fmt.Errorf("%w: a bridge uses this spool and delivers it; `bridge spool list %s` shows what is in it", err, dir)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("there is no spool in %s; give the directory DATA_DIR/spool of the bridge", dir)
	}
	return err
}

// printRecord prints a record in one line, for people or as JSON.
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
	line := fmt.Sprintf("%s  %s  %s  %d bytes  id %s", formatTime(r.Arrived, time.Now(), milliseconds), r.Kind, r.Subject, len(r.Data), r.ID)
	if r.Reason != "" {
		line += "  set aside: " + r.Reason
	}
	_, _ = fmt.Fprintln(w, printable(line))
}
