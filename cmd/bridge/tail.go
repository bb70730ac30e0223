package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/event"
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
			switch {
			case len(args) > 1:
				return usageError{errors.New("tail takes one subject at most; quote it, so that the shell leaves > and * alone; see `bridge tail --help`")}
			case len(args) == 1 && !isSubject(args[0]):
				return usageError{fmt.Errorf("SUBJECT: got %q; takes a subject such as 'webhooks.flock.>': tokens with dots between, * for any one, > at the end for any more", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := load(environ, usedByTail)
			if err != nil {
				return err
			}
			s := section{stream: string(cfg.StreamName), subject: string(cfg.SubjectPrefix) + ".>"}
			if len(args) == 1 {
				s.subject = args[0]
			}
			if s.since, err = parseSince(since, time.Now()); err != nil {
				return err
			}
			nc, js, err := connect(cfg, stdio.err)
			if err != nil {
				return err
			}
			defer nc.Close()
			return follow(c.Context(), js, s, stdio.err, func(m jetstream.Msg) error {
				if asJSON {
					return printJSON(stdio.out, m.Data())
				}
				return printEvent(stdio.out, m.Subject(), m.Data(), time.Now())
			})
		},
	}
	c.Flags().StringVar(&since, "since", "", "begin with events stored since then: a duration such as 1h, or a time such as 2026-01-02T03:04:05Z (default: now)")
	c.Flags().BoolVar(&asJSON, "json", false, "print each event's JSON in one line, as it is stored")
	return c
}

// usedByTail says whether tail uses a variable. One that can't be used must not be passed over: a bad
// NATS_URL would mean another NATS.
func usedByTail(variable string) bool {
	switch variable {
	case "EMBEDDED_NATS_ADDR", "SUBJECT_PREFIX", "STREAM_NAME":
		return true
	}
	return strings.HasPrefix(variable, "NATS_")
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

// printEvent prints an event for people, in a line: when it was received, with the date unless that is
// today, its subject, whom it is about, its id.
func printEvent(w io.Writer, subject string, payload []byte, now time.Time) error {
	e, err := event.Parse(payload)
	if err != nil {
		_, err := fmt.Fprintln(w, printable(fmt.Sprintf("%s  not one of the bridge's events: %v", subject, err)))
		return err
	}
	parts := []string{shortTime(e.ReceivedTime, now), subject}
	if e.Subject != "" {
		parts = append(parts, e.Subject)
	}
	if e.UserID != "" {
		parts = append(parts, "user "+e.UserID)
	}
	_, err = fmt.Fprintln(w, printable(strings.Join(append(parts, "id "+e.ID), "  ")))
	return err
}

// shortTime writes an RFC 3339 time in this place's zone, without the date where that is today.
func shortTime(text string, now time.Time) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return moment(t, now)
}

// moment writes a time in this place's zone, without the date where that is today.
func moment(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05.000")
	}
	return t.Format("2006-01-02 15:04:05.000")
}

// printable replaces what would move the cursor or break the line: others may write to the stream,
// and end users into some ids.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// printJSON prints an event's JSON in a line. The bridge's own has no line break; another's may.
func printJSON(w io.Writer, payload []byte) error {
	if bytes.ContainsAny(payload, "\n\r") {
		var compact bytes.Buffer
		if json.Compact(&compact, payload) == nil {
			payload = compact.Bytes()
		}
	}
	_, err := fmt.Fprintf(w, "%s\n", payload)
	return err
}
