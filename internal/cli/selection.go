package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// selection holds the flags that choose events: a span of time and filters. An event must match one
// value of each filter that has values.
type selection struct {
	since, until                            string
	sinceTime, untilTime                    time.Time // since and until, parsed; zero: not set
	follow                                  bool
	providers, events, entities, users, ids []string
}

const timeForms = "a duration before now such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z"

func (s *selection) flags(c *cobra.Command, follow string) {
	f := c.Flags()
	f.StringVar(&s.since, "since", "", "only events stored since this `time`: "+timeForms+" (default: now)")
	f.StringVar(&s.until, "until", "", "only events stored until this `time`, given as for --since")
	f.BoolVar(&s.follow, "follow", true, follow)
	f.StringArrayVar(&s.providers, "provider", nil, "only events of this `provider`: "+inWords(providers.Names(), "or"))
	f.StringArrayVar(&s.events, "event", nil, "only events of this `name`, with wildcards as in a subject: invitee.accepted, 'invitee.*'")
	f.StringArrayVar(&s.entities, "entity", nil, "only events about this `entity`: a kind such as invitee, or one thing such as invitee/customer_67890")
	f.StringArrayVar(&s.users, "user", nil, "only events about the person with this `id`")
	f.StringArrayVar(&s.ids, "id", nil, "only the event with this `id`, or whose id begins with it")
	complete(c, "provider", providers.Names()...)
	complete(c, "event", knownEvents()...)
}

// check checks the flags and parses the times.
func (s *selection) check(now time.Time) (err error) {
	for _, p := range s.providers {
		if providers.ByName(p) == nil {
			return usagef("--provider: got %q; takes %s", p, inWords(providers.Names(), "or"))
		}
	}
	for _, name := range s.events {
		if name == "" || hasWildcard(name) && !server.IsValidSubject(name) {
			return usagef("--event: got %q; takes an event's name such as invitee.accepted, with * for any one token, > at the end for one or more", name)
		}
	}
	if slices.Contains(slices.Concat(s.entities, s.users, s.ids), "") {
		return usagef("--entity, --user and --id: got an empty value; take an id")
	}
	if s.sinceTime, err = parseTime("--since", s.since, now); err != nil {
		return err
	}
	if s.untilTime, err = parseTime("--until", s.until, now); err != nil {
		return err
	}
	switch {
	case s.untilTime.After(now):
		return usagef("--until: got %q, which is in the future; leave it out to go on until Ctrl-C", s.until)
	case s.until != "" && s.sinceTime.After(s.untilTime):
		return usagef("--until: got %q, which is before --since", s.until)
	}
	return nil
}

// section returns the part of the stream to read: the server filters by subject and time. The other
// filters are up to matches.
func (s *selection) section(cfg *config.Config) stream.Section {
	section := stream.Section{
		Stream: cfg.StreamName, Subjects: s.subjects(cfg.SubjectPrefix), Since: s.sinceTime, Stop: !s.follow || s.until != "",
	}
	if section.Since.IsZero() && (section.Stop || len(s.ids) > 0) {
		section.Since = stream.Beginning
	}
	return section
}

// hasWildcard reports whether one of the tokens is a wildcard.
func hasWildcard(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "."), func(token string) bool { return token == "*" || token == ">" })
}

// subjects returns the subjects of the events that may match. JetStream refuses overlapping ones.
func (s *selection) subjects(prefix string) (subjects []string) {
	for _, name := range s.events {
		subject := event.Subject(prefix, "*", name)
		if hasWildcard(name) {
			subject = prefix + ".*." + name
		}
		if slices.ContainsFunc(subjects, func(other string) bool { return server.SubjectsCollide(subject, other) }) {
			return []string{prefix + ".>"}
		}
		subjects = append(subjects, subject)
	}
	if len(subjects) == 0 {
		return []string{prefix + ".>"}
	}
	return subjects
}

// matches reports whether an event matches the filters.
func (s *selection) matches(e *event.Event) bool {
	one := func(values []string, matches func(value string) bool) bool {
		return len(values) == 0 || slices.ContainsFunc(values, matches)
	}
	return one(s.providers, func(p string) bool { return p == e.Provider }) &&
		one(s.events, func(name string) bool {
			return name == e.Event || hasWildcard(name) && server.SubjectsCollide("x.x."+name, event.Subject("x", "x", e.Event))
		}) &&
		one(s.entities, func(entity string) bool { return entity == e.Entity || entity == e.Subject }) &&
		one(s.users, func(id string) bool { return id == e.UserID }) &&
		one(s.ids, func(id string) bool { return strings.HasPrefix(e.ID, id) })
}

// parseTime returns the value of a flag that takes a time, or a duration before now. The zero time
// means not set.
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
