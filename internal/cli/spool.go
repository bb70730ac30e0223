package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

func spoolCommand(prog program) *cobra.Command {
	return withSubcommands(&cobra.Command{
		Use:   "spool",
		Short: "List a spool, and deliver that of an instance that is gone",
		Long: `List what is in a spool, and deliver that of an instance that is gone. A bridge that starts with the
same DATA_DIR delivers it by itself; drain is for where none does.`,
		Example: `  bridge spool list /mnt/old/spool
  NATS_URL=nats://nats:4222 bridge spool drain /mnt/old/spool`,
	}, spoolListCommand(prog), drainCommand(prog))
}

func spoolListCommand(prog program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [DIR]",
		Short: "List the records of a spool",
		Long: `List the records of a spool, in a line each: when it arrived, its kind, its subject, its size and its
id, and for a record that is set aside why NATS refused it. Nothing is changed, and a bridge may run
with the spool. DIR is the spool's directory; the default is that of DATA_DIR.`,
		Example:           "  bridge spool list\n  bridge spool list /mnt/old/spool --json",
		Args:              takes(0, 1, "at most one directory"),
		ValidArgsFunction: completeDirectory,
		RunE: func(c *cobra.Command, args []string) error {
			var dir string
			if len(args) == 1 {
				dir = args[0]
			} else {
				cfg, err := prog.load("DATA_DIR")
				if err != nil {
					return err
				}
				dir = app.SpoolDir(cfg)
			}
			return prog.printSpool(c.Context(), dir, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line: kind, subject, id, arrived, attempted, bytes, reason")
	return c
}

// printSpool prints every record of a spool, and on the error stream how many there are.
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
		return fmt.Errorf("%w: a bridge runs with it and delivers what is in it; `bridge spool list %s` shows what that is", err, dir)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no spool in %s; it is in the directory spool of the bridge's DATA_DIR: `bridge spool list %s`", dir, filepath.Join("DATA_DIR", "spool"))
	case errors.Is(err, spool.ErrNewer):
		return fmt.Errorf("%w: use that version's command", err)
	}
	return err
}

// printRecord prints a record in a line, for people or as JSON.
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
