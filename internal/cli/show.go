package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

func showCommand(prog program) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Print a whole event, from the stream or from quarantine",
		Long: `Print an event on standard output, and its stream, sequence number and time of storage on standard
error. If it is in quarantine, print its body as it was received, and why it is there. ID may be the
beginning of an id. The stream is searched first, then the quarantine.`,
		Example: "  bridge show 5e0c\n  bridge show 5e0c 2>/dev/null | jq .data",
		Args:    takes(1, 1, "one id or its beginning, as `bridge tail --since 1h --follow=false` prints it"),
		RunE: prog.withNATS(streamVariables, func(ctx context.Context, s *session, args []string) error {
			return s.show(ctx, args[0])
		}),
	}
}

// show prints the event whose id has this prefix, or else the delivery in quarantine.
func (s *session) show(ctx context.Context, id string) error {
	name := s.cfg.StreamName
	in, err := s.stream(ctx, name)
	if err != nil {
		return err
	}
	wanted, report := needed(id), s.reporter(ctx, stream.Section{Stream: name, Stop: true})
	r := stream.Reader{JetStream: s.js, Name: tailConsumer, Report: func(err error) {
		if errors.Is(err, stream.ErrRecreated) { // nothing of the earlier stream counts
			wanted = needed(id)
		}
		report(err)
	}}
	found, err := r.Find(ctx, name, time.Time{}, func(known string) bool { return wanted(known) })
	if err != nil {
		return err
	}
	whole, err := resolveID(found.IDs, id)
	switch {
	case err != nil:
		return fmt.Errorf("in stream %s, %w", name, err)
	case whole == "":
		if err := s.showQuarantined(ctx, id); err != nil {
			return fmt.Errorf("no event in stream %s has an id that begins with %q; it may be older than the stream keeps, "+
				"or wait in a spool (see `bridge spool list`); %w", name, id, err)
		}
		return nil
	}
	m, err := in.GetMsg(ctx, found.IDs[whole])
	if err != nil {
		return fmt.Errorf("reading message %d of stream %s: %w", found.IDs[whole], name, err)
	}
	printFields(s.prog.err, "id", m.Header.Get(nats.MsgIdHdr), "stream", name, "sequence", m.Sequence, "subject", m.Subject,
		"stored", m.Time.UTC().Format(time.RFC3339Nano))
	_, _ = s.prog.out.Write(indented(m.Data))
	return nil
}

// needed returns a function that reports whether an id is needed to resolve the prefix: if it is the whole
// id, or one of the first two that begin so. A stream may have millions of them.
func needed(prefix string) func(id string) bool {
	count := 0
	return func(id string) bool {
		if id == prefix || !strings.HasPrefix(id, prefix) {
			return id == prefix
		}
		count++
		return count <= 2
	}
}

// printFields prints pairs of a name and a value, one per line.
func printFields(w io.Writer, pairs ...any) {
	for pair := range slices.Chunk(pairs, 2) {
		_, _ = fmt.Fprintln(w, printable(fmt.Sprintf("%-10s %v", pair...)))
	}
}

// indented returns the JSON with indentation. It doesn't change values, such as large numbers.
func indented(payload []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(payload), "", "  ") != nil {
		return append(payload, '\n')
	}
	return append(out.Bytes(), '\n')
}
