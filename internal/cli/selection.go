package cli

import (
	"errors"
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
	since, until                            time.Time // zero: not set
	follow                                  bool
	providers, events, entities, users, ids []string
}

func (s *selection) flags(c *cobra.Command, follow string) {
	f := c.Flags()
	f.Func("since", "only events stored since this `time`: "+timeForms+" (default: now)", setTime(&s.since))
	f.Func("until", "only events stored until this `time`, given as for --since", setTime(&s.until))
	f.BoolVar(&s.follow, "follow", true, follow)
	f.Func("provider", "only events of this `provider`: "+inWords(providers.Names(), "or"),
		add(&s.providers, inWords(providers.Names(), "or"), func(name string) bool { return providers.ByName(name) != nil }))
	f.Func("event", "only events of this `name`, with wildcards as in a subject: invitee.accepted, 'invitee.*'",
		add(&s.events, "an event's name such as invitee.accepted, with * for any one token, > at the end for one or more", isEventPattern))
	f.Func("entity", "only events about this `entity`: a kind such as invitee, or one thing such as invitee/customer_67890", add(&s.entities, "an id", isNotEmpty))
	f.Func("user", "only events about the person with this `id`", add(&s.users, "an id", isNotEmpty))
	f.Func("id", "only the event with this `id`, or whose id begins with it", add(&s.ids, "an id", isNotEmpty))
}

// add returns a function for a flag that adds a value to the list.
func add(list *[]string, takes string, isValid func(value string) bool) func(string) error {
	return func(value string) error {
		if !isValid(value) {
			return errors.New("takes " + takes)
		}
		*list = append(*list, value)
		return nil
	}
}

func isNotEmpty(value string) bool { return value != "" }

func isEventPattern(name string) bool {
	return name != "" && (!hasWildcard(name) || server.IsValidSubject(name))
}

const timeForms = "a duration before now such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z"

// setTime returns a function for a flag that takes a time, or a duration before now.
func setTime(to *time.Time) func(string) error {
	return func(text string) (err error) {
		*to, err = parseTime(text, time.Now())
		return err
	}
}

func parseTime(text string, now time.Time) (time.Time, error) {
	if d, err := config.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		return t, errors.New("takes " + timeForms)
	case t.Before(stream.Beginning): // as the zero time, which means not set
		return stream.Beginning, nil
	}
	return t, nil
}

// check checks the times against each other.
func (s *selection) check() error {
	switch {
	case s.until.After(time.Now()):
		return usagef("--until: %s is in the future; leave it out to go on until Ctrl-C", s.until.Format(time.RFC3339))
	case !s.until.IsZero() && s.since.After(s.until):
		return usagef("--until: %s is before --since, %s", s.until.Format(time.RFC3339), s.since.Format(time.RFC3339))
	}
	return nil
}

// section returns the part of the stream to read: the server filters by subject and time. The other
// filters are up to matches.
func (s *selection) section(cfg *config.Config) stream.Section {
	section := stream.Section{
		Stream: cfg.StreamName, Subjects: s.subjects(cfg.SubjectPrefix), Since: s.since, Stop: !s.follow || !s.until.IsZero(),
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
	isNamed := func(name string) bool {
		return name == e.Event || hasWildcard(name) && server.SubjectsCollide("x.x."+name, event.Subject("x", "x", e.Event))
	}
	return isOneOf(s.providers, e.Provider) && isOneOf(s.users, e.UserID) &&
		(isOneOf(s.entities, e.Entity) || isOneOf(s.entities, e.Subject)) &&
		(len(s.events) == 0 || slices.ContainsFunc(s.events, isNamed)) &&
		(len(s.ids) == 0 || slices.ContainsFunc(s.ids, func(id string) bool { return strings.HasPrefix(e.ID, id) }))
}

// isOneOf reports whether the value is one of the wanted; none wanted: any is.
func isOneOf(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}
