package cli

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// errEnough ends reading: there is nothing more to read, or no more is wanted.
var errEnough = errors.New("enough")

// skew is how far the server's clock may be behind ours.
const skew = time.Minute

// readSpan calls handle with each message of the section that was stored up to a time; zero is no
// limit. A time in the future is waited for. What was stored until then is read whole, even where
// reading lags behind. handle may end the reading with errEnough.
func readSpan(
	ctx context.Context, js jetstream.JetStream, s stream.Section, until time.Time,
	stdio stdio, handle func(stream.Message) error,
) error {
	err := func() error {
		if until.IsZero() {
			return followSection(ctx, js, s, stdio, handle)
		}
		found, err := streamNamed(ctx, js, s.Stream, madeByBridge)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		info, start := found.CachedInfo(), time.Now()
		made, last := info.Created, uint64(0)
		if s.Since.IsZero() {
			last = info.State.LastSeq
		}
		limited := func(m stream.Message) error {
			switch {
			case m.Stored.After(until):
				return errEnough
			case m.Made.Equal(made) && m.Sequence <= last:
				return nil
			}
			made, last, s.Since = m.Made, m.Sequence, m.Stored
			return handle(m)
		}
		if time.Now().Before(until) {
			s.Stop = false
			follow, cancel := context.WithDeadline(ctx, until)
			err := followSection(follow, js, s, stdio, limited)
			cancel()
			if err != nil || ctx.Err() != nil {
				return err
			}
		}
		// What came last may still be on its way: the leader knows how much there is.
		if s.Stop = true; s.Since.IsZero() {
			s.Since = start.Add(-skew) // last excludes what was there before
		}
		return followSection(ctx, js, s, stdio, limited)
	}()
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// selection holds the flags that choose events: a span of time, and filters.
type selection struct {
	since, until string
	follow       bool
	filter       eventFilter
}

const timeForms = "a duration before now such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z"

func (s *selection) flags(c *cobra.Command, follow string) {
	f := c.Flags()
	f.StringVar(&s.since, "since", "", "begin with events stored since then: "+timeForms+" (default: now)")
	f.StringVar(&s.until, "until", "", "end with events stored until then, as for --since; a time in the future is waited for")
	f.BoolVar(&s.follow, "follow", true, follow)
	s.filter.flags(c)
	complete(c, "since", "5m", "1h", "24h")
	complete(c, "until", "5m", "1h", "24h")
}

// section returns the part of the stream to read, and the time that ends it, which may be zero. The
// server filters by subject and time, the command by the rest.
func (s *selection) section(cfg *config.Config, now time.Time) (part stream.Section, until time.Time, err error) {
	part = stream.Section{Stream: string(cfg.StreamName), Stop: !s.follow}
	if err := s.filter.check(); err != nil {
		return part, until, err
	}
	part.Subjects = s.filter.subjects(string(cfg.SubjectPrefix))
	if part.Since, err = parseTime("--since", s.since, now); err != nil {
		return part, until, err
	}
	if until, err = parseTime("--until", s.until, now); err != nil {
		return part, until, err
	}
	if s.until != "" && part.Since.After(until) {
		return part, until, usagef("--until: got %q, which is before --since", s.until)
	}
	past := !until.IsZero() && !until.After(now)
	if part.Since.IsZero() && (part.Stop || past || len(s.filter.ids) > 0) {
		part.Since = stream.Beginning
	}
	return part, until, nil
}

// parseTime reads a flag that takes a time, or a duration before now. The zero time means not set.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := config.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, usagef("%s: got %q; takes "+timeForms, flag, text)
}
