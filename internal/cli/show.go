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
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

func showEventCommand(environ []string, stdio stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Print one event whole, from the stream or from quarantine",
		Long: `Print the event of an id on standard output, and on standard error where it is: the stream, its
sequence number, when it was stored; in quarantine, why it is there, and the body as it was
received. ID may be the beginning of an id. The stream is searched first, by its headers alone.
NATS is reached as "bridge serve" reaches it; without NATS_URL at the address of the embedded server.`,
		Example: "  bridge show 5e0c\n  bridge show 5e0c 2>/dev/null | jq .data",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{errors.New("show takes one id, or its beginning: `bridge show 5e0c`; `bridge tail --since 1h --follow=false` prints ids")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := load(environ, usedByTail)
			if err != nil {
				return err
			}
			nc, js, err := connect(cfg, stdio.err)
			if err != nil {
				return err
			}
			defer nc.Close()
			return interrupted(c.Context(), showEvent(c.Context(), cfg, js, args[0], stdio))
		},
	}
}

// showEvent prints the event whose id begins so.
func showEvent(ctx context.Context, cfg *config.Config, js jetstream.JetStream, id string, stdio stdio) error {
	found, err := streamNamed(ctx, js, string(cfg.StreamName), madeByBridge)
	if err != nil {
		return err
	}
	sequences, err := sequencesOf(ctx, js, string(cfg.StreamName), id)
	if err != nil {
		return err
	}
	if len(sequences) == 0 {
		return showQuarantined(ctx, cfg, js, id, stdio)
	}
	if len(sequences) > 1 {
		_, _ = fmt.Fprintf(stdio.err, "bridge: the event is in the stream %d times; this is the first\n", len(sequences))
	}
	m, err := found.GetMsg(ctx, sequences[0])
	if err != nil {
		return fmt.Errorf("reading message %d of stream %s: %w", sequences[0], cfg.StreamName, err)
	}
	facts(stdio.err, [][2]string{
		{"id", m.Header.Get(nats.MsgIdHdr)},
		{"stream", string(cfg.StreamName)},
		{"sequence", fmt.Sprint(m.Sequence)},
		{"subject", m.Subject},
		{"stored", m.Time.UTC().Format(time.RFC3339Nano)},
	})
	if _, err := event.Parse(m.Data); err != nil {
		_, _ = fmt.Fprintln(stdio.err, humanize.Text(fmt.Sprintf("bridge: it is not one of the bridge's events: %v", err)))
	}
	return printIndented(stdio.out, m.Data)
}

// sequencesOf returns the sequence numbers of the messages of the one id that begins so.
func sequencesOf(ctx context.Context, js jetstream.JetStream, name, beginning string) ([]uint64, error) {
	found := make(map[string][]uint64)
	r := stream.Reader{
		Conn: js.Conn(), JetStream: js, Name: "bridge-show-",
		Section: stream.Section{Stream: name, Since: stream.Beginning, Headers: true, Stop: true},
		Report: func(err error) {
			if errors.Is(err, stream.ErrMadeAnew) {
				clear(found)
			}
		},
		Handle: func(m stream.Message) error {
			id := m.Headers().Get(nats.MsgIdHdr)
			if strings.HasPrefix(id, beginning) && (len(found[id]) > 0 || len(found) < 3) {
				found[id] = append(found[id], m.Sequence)
			}
			return nil
		},
	}
	if err := r.Run(ctx); err != nil {
		return nil, fmt.Errorf("reading stream %s: %w", name, err)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if exact, ok := found[beginning]; ok {
		return exact, nil
	}
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	switch len(ids) {
	case 0:
		return nil, nil
	case 1:
		return found[ids[0]], nil
	}
	return nil, fmt.Errorf("several ids in stream %s begin with %q, among them %s and %s; give more of it", name, beginning, humanize.Text(ids[0]), humanize.Text(ids[1]))
}

// showQuarantined prints the delivery whose id begins so.
func showQuarantined(ctx context.Context, cfg *config.Config, js jetstream.JetStream, id string, stdio stdio) error {
	events := string(cfg.StreamName)
	name := quarantine.Stream(events)
	absent := fmt.Errorf("no event in stream %s has an id that begins with %q, and no delivery in quarantine; it may be older than the stream keeps, or wait in a spool: see `bridge spool list`", events, id)
	found, err := js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return absent
	case err != nil:
		return fmt.Errorf("no event in stream %s has an id that begins with %q; reading stream %s: %w", events, id, name, err)
	}
	store := &quarantineStore{Store: quarantine.Store{JetStream: js, Stream: found, Consumer: "bridge-quarantine-"}, cfg: cfg, js: js, err: stdio.err}
	all, err := store.matching(ctx, filter{})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(k quarantine.Kept) bool { return strings.HasPrefix(k.ID, id) }) {
		return absent
	}
	if id, err = whole(all, id); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(k quarantine.Kept) bool { return k.ID != id })
	k := all[len(all)-1]
	d, err := store.Get(ctx, k)
	if err != nil {
		return err
	}
	facts(stdio.err, [][2]string{
		{"id", d.ID},
		{"stream", name},
		{"sequence", fmt.Sprint(k.Sequence)},
		{"endpoint", d.Endpoint},
		{"provider", d.Provider},
		{"reason", d.Reason},
		{"received", d.Received.Format(time.RFC3339Nano)},
	})
	_, err = stdio.out.Write(d.Body)
	return err
}

// facts prints names and values, one a line.
func facts(w io.Writer, all [][2]string) {
	for _, fact := range all {
		_, _ = fmt.Fprintln(w, humanize.Text(fmt.Sprintf("%-10s %s", fact[0], fact[1])))
	}
}

// printIndented prints JSON for people to read.
func printIndented(w io.Writer, payload []byte) error {
	_, err := w.Write(indented(payload))
	return err
}

// indented returns JSON with its values as they are stored, an attribute a line.
func indented(payload []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, payload, "", "  ") != nil {
		out.Reset()
		out.Write(payload)
	}
	return append(bytes.TrimSuffix(out.Bytes(), []byte("\n")), '\n')
}
