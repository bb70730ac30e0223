package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

func importCommand(environ []string, stdio stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "import [FILE]",
		Short: "Deliver records that export has printed",
		Long: `Publish the records that "bridge spool export" has printed, from FILE or standard input, in their
order, each to the stream of its kind. What the stream has already is a success; what it may have and
not recognise any more is looked up first. NATS is reached as "bridge serve" reaches it; without
NATS_URL at the address of the embedded server.

What could not be delivered is printed on standard output as it came, so that it can be imported
again, and the exit status is 1. Where NATS can't be reached at the beginning, nothing is.`,
		Example:           "  NATS_URL=nats://nats:4222 bridge spool import records.jsonl > rest.jsonl\n  bridge spool export /mnt/old/spool | NATS_URL=nats://nats:4222 bridge spool import > rest.jsonl",
		ValidArgsFunction: completeFile,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] == "" {
				return usageError{fmt.Errorf("%s takes one file, got %q; see `%s --help`", c.CommandPath(), args, c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := load(environ, usedByImport)
			if err != nil {
				return err
			}
			nc, js, err := connect(cfg, stdio.err)
			if err != nil {
				return err
			}
			defer nc.Close()
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			in, err := openInput(c.Context(), stdio, name)
			if err != nil {
				return err
			}
			defer func() { _ = in.Close() }()
			to, err := openCourier(c.Context(), cfg, stdio.err)
			if err != nil {
				return err
			}
			defer to.close()
			i := &importing{to: to, in: in, out: bufio.NewWriterSize(stdio.out, 64<<10), words: stdio.err}
			return i.run(c.Context(), cfg, js)
		},
	}
}

// usedByImport says whether import uses a variable: those of tail, and the tolerances, which say how long
// before its arrival a copy of a record can have been stored.
func usedByImport(variable string) bool {
	return usedByTail(variable) || strings.HasSuffix(variable, "_TOLERANCE")
}

// importing is one run of import.
type importing struct {
	to    *courier
	in    io.ReadSeeker
	out   *bufio.Writer // gets what could not be delivered
	words io.Writer

	known    [durable.Kinds]map[string]bool // found stored already
	noRights [durable.Kinds]bool
	hopeless [durable.Kinds]error // why nothing of the kind is tried any more

	batch []spool.Record
	size  int // of the batch's data

	lines, stored, duplicate, found, possible, failed, untried int
}

func (i *importing) say(format string, args ...any) {
	_, _ = fmt.Fprintf(i.words, "bridge: "+format+"\n", args...)
}

// run delivers everything.
func (i *importing) run(ctx context.Context, cfg *config.Config, js jetstream.JetStream) error {
	if err := i.lookUp(ctx, cfg, js); err != nil {
		return fmt.Errorf("nothing is imported: %w", interrupted(ctx, err))
	}
	if _, err := i.in.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	err := eachLine(i.in, func(text []byte) error { return i.take(ctx, text) })
	if err == nil {
		err = i.flush(ctx)
	}
	if flushed := i.out.Flush(); err == nil {
		err = flushed
	}
	i.say("%d stored, %d duplicate, %d found stored already, %d possible duplicates, %d failed", i.stored, i.duplicate, i.found, i.possible, i.failed)
	switch {
	case err != nil:
		return fmt.Errorf("importing: %w", err)
	case i.untried > 0:
		return fmt.Errorf("interrupted: %d records were not tried; they are on standard output", i.untried)
	case i.failed > 0:
		return fmt.Errorf("%d records could not be delivered; they are on standard output, to be imported again", i.failed)
	}
	return nil
}

// headroom is how long an import may take: what the stream forgets meanwhile is looked up too.
const headroom = 15 * time.Minute

// lookUp reads the input once, makes sure that its kinds' streams are there, and finds out which of the
// records are stored already that the stream may not recognise by itself. One scan of a stream serves all.
func (i *importing) lookUp(ctx context.Context, cfg *config.Config, js jetstream.JetStream) error {
	var old [durable.Kinds]map[string]bool
	var since [durable.Kinds]time.Time
	var present [durable.Kinds]bool
	now := time.Now()
	err := eachLine(i.in, func(text []byte) error {
		r, err := parseRecord(text)
		if err != nil { // take says so
			return ctx.Err()
		}
		present[r.Kind] = true
		if i.to.remembers(r.Kind, r.Arrived, now) && i.to.remembers(r.Kind, r.Arrived, now.Add(headroom)) {
			return ctx.Err()
		}
		from := relay.FirstCopy(r.Arrived, now, i.to.reach)
		if old[r.Kind] == nil {
			old[r.Kind], since[r.Kind] = make(map[string]bool), from
		}
		old[r.Kind][r.ID] = true
		if from.Before(since[r.Kind]) {
			since[r.Kind] = from
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	kept := quarantine.Stream(string(cfg.StreamName))
	names := [durable.Kinds]string{string(cfg.StreamName), kept, kept}
	for kind := range durable.Kind(durable.Kinds) {
		if !present[kind] {
			continue
		}
		if _, err := streamNamed(ctx, js, names[kind], madeByBridge); err != nil {
			return err
		}
		if len(old[kind]) == 0 {
			continue
		}
		found, err := i.to.Stored(ctx, kind, since[kind], func(id string) bool { return old[kind][id] })
		i.known[kind] = found.IDs
		switch {
		case errors.Is(err, publish.ErrNoRights):
			i.noRights[kind] = true
			i.say("stream %s: %v: what it may have already is published, and counted as possible duplicates", names[kind], err)
		case err != nil:
			return err
		}
	}
	return nil
}

// take takes one line.
func (i *importing) take(ctx context.Context, text []byte) error {
	i.lines++
	if isBlank(text) {
		return nil
	}
	if ctx.Err() != nil {
		if err := i.flush(ctx); err != nil {
			return err
		}
		i.untried++
		return i.back(text)
	}
	r, err := parseRecord(text)
	if err != nil {
		i.say("line %d: %v", i.lines, err)
		i.failed++
		return i.back(text)
	}
	i.batch = append(i.batch, r)
	if i.size += len(r.Data); len(i.batch) < mostAtOnce && i.size < mostBytes {
		return nil
	}
	return i.flush(ctx)
}

// back prints a line as it came.
func (i *importing) back(text []byte) error {
	if text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	_, err := i.out.Write(text)
	return err
}

// flush delivers the batch.
func (i *importing) flush(ctx context.Context) error {
	batch := i.batch
	i.batch, i.size = nil, 0
	var left []spool.Record
	var messages []durable.Message
	for _, r := range batch {
		switch {
		case i.known[r.Kind][r.ID]:
			i.found++
		case i.hopeless[r.Kind] != nil:
			if err := i.fail(r); err != nil {
				return err
			}
		default:
			left, messages = append(left, r), append(messages, r.Message)
		}
	}
	if len(messages) == 0 {
		return nil
	}
	now := time.Now()
	results := i.to.deliver(ctx, messages)
	for j, result := range results {
		r := left[j]
		switch {
		case result.Err != nil:
			i.say("%s %s: %s", r.Kind, humanize.Text(r.ID), because(result.Err))
			if err := i.fail(r); err != nil {
				return err
			}
		case result.Status == durable.Duplicate:
			i.duplicate++
		default:
			i.stored++
			if i.noRights[r.Kind] && !i.to.remembers(r.Kind, r.Arrived, now) {
				i.possible++
			}
		}
	}
	i.giveUp(left, results)
	return nil
}

// giveUp ends trying a kind of which nothing can be delivered any more.
func (i *importing) giveUp(records []spool.Record, results []publish.Result) {
	var last [durable.Kinds]error
	var some [durable.Kinds]bool // were delivered
	for j, r := range records {
		if err := results[j].Err; err == nil {
			some[r.Kind] = true
		} else {
			last[r.Kind] = err
		}
	}
	for kind, err := range last {
		if err != nil && !some[kind] && i.to.isHopeless(durable.Kind(kind), err) {
			i.hopeless[kind] = err
			i.say("giving up on every further %s: %s", durable.Kind(kind), because(err))
		}
	}
}

// fail prints a record that could not be delivered.
func (i *importing) fail(r spool.Record) error {
	i.failed++
	text, err := formatRecord(&r)
	if err != nil {
		return err
	}
	_, err = i.out.Write(text)
	return err
}
