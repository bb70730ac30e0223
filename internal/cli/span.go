package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

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
	f.StringVar(&s.until, "until", "", "end with events stored until then, as for --since")
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
	switch {
	case until.After(now):
		return part, until, usagef("--until: got %q, which is in the future; leave it out to go on until Ctrl-C", s.until)
	case s.until != "" && part.Since.After(until):
		return part, until, usagef("--until: got %q, which is before --since", s.until)
	}
	part.Stop = part.Stop || s.until != ""
	if part.Since.IsZero() && (part.Stop || len(s.filter.ids) > 0) {
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
