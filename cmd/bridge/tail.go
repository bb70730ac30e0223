package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/app"
)

func tailCommand(environ []string, stdio stdio) *cobra.Command {
	var since string
	var asJSON bool
	c := &cobra.Command{
		Use:   "tail [SUBJECT]",
		Short: "Print events as they come",
		Long: `Print the events of the stream as they come, or from a time on, until Ctrl-C. SUBJECT limits
them and may have wildcards; without it all are printed. NATS is reached as "bridge serve"
reaches it; without NATS_URL at the address of the embedded server.`,
		Example: `  bridge tail
  bridge tail 'webhooks.flock.>' --since 1h
  NATS_URL=nats://nats:4222 bridge tail --since 2026-01-02T03:04:05Z --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("tail takes one subject at most; quote it, so that the shell leaves > and * alone; see `bridge tail --help`")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, _, _ := config.Load(environ) // other variables' mistakes don't matter here
			subject := string(cfg.SubjectPrefix) + ".>"
			if len(args) == 1 {
				subject = args[0]
			}
			start, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			show := printEvent
			if asJSON {
				show = printJSON
			}
			nc, js, err := connect(cfg)
			if err != nil {
				return err
			}
			defer nc.Close()
			return follow(c.Context(), js, string(cfg.StreamName), subject, start, func(m jetstream.Msg) error {
				return show(stdio.out, m.Subject(), m.Data())
			})
		},
	}
	c.Flags().StringVar(&since, "since", "", "begin with events stored since then: a duration such as 1h, or a time such as 2026-01-02T03:04:05Z (default: now)")
	c.Flags().BoolVar(&asJSON, "json", false, "print each event's JSON in one line, as it is stored")
	return c
}

// parseSince reads --since; the zero time means to begin now.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, usageError{fmt.Errorf("--since: got %q; takes a duration such as 1h, or a time such as 2026-01-02T03:04:05Z", text)}
}

// connect connects to the NATS that a bridge with this configuration uses.
func connect(cfg *config.Config) (*nats.Conn, jetstream.JetStream, error) {
	url := string(cfg.NATSURL)
	if cfg.IsEmbedded() {
		url = "nats://" + local(cfg.EmbeddedNATSAddr)
	}
	server := app.NATSServer(cfg, url, version())
	nc, err := server.Connect()
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to NATS at %s: %w; say where it is with NATS_URL", config.ServerList(url), err)
	}
	js, err := server.JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("using JetStream: %w", err)
	}
	return nc, js, nil
}

// follow hands each message of the stream to handle, in order, until the context ends. It goes on
// over reconnections without losing or repeating any.
func follow(ctx context.Context, js jetstream.JetStream, stream, subject string, start time.Time, handle func(jetstream.Msg) error) error {
	c := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverNewPolicy}
	if !start.IsZero() {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &start
	}
	consumer, err := js.OrderedConsumer(ctx, stream, c)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s does not exist; a bridge makes it when it connects, see STREAM_NAME", stream)
	}
	if err != nil {
		return fmt.Errorf("reading stream %s: %w", stream, err)
	}
	failed := make(chan error, 1)
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		if err := handle(m); err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	})
	if err != nil {
		return fmt.Errorf("reading stream %s: %w", stream, err)
	}
	defer consuming.Stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// printEvent prints an event for people, in a line.
func printEvent(w io.Writer, subject string, payload []byte) error {
	e, err := event.Parse(payload)
	if err != nil {
		_, err := fmt.Fprintf(w, "%s  not one of the bridge's events: %v\n", subject, err)
		return err
	}
	received := e.ReceivedTime
	if t, err := time.Parse(time.RFC3339, received); err == nil {
		received = t.Local().Format("15:04:05.000")
	}
	about := []string{}
	if e.Subject != "" {
		about = append(about, e.Subject)
	}
	if e.UserID != "" {
		about = append(about, "user "+e.UserID)
	}
	_, err = fmt.Fprintf(w, "%s  %s  %s  id %s\n", received, subject, strings.Join(about, "  "), e.ID)
	return err
}

// printJSON prints an event's JSON in a line. The bridge's own has no line break; another's may.
func printJSON(w io.Writer, _ string, payload []byte) error {
	if strings.ContainsAny(string(payload), "\n\r") {
		var v json.RawMessage
		if err := json.Unmarshal(payload, &v); err == nil {
			if compact, err := json.Marshal(v); err == nil {
				payload = compact
			}
		}
	}
	_, err := fmt.Fprintf(w, "%s\n", payload)
	return err
}
