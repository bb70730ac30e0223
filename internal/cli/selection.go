package cli

import (
	"errors"
	"regexp"
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

// selection chooses events. An event must match one value of each filter that has values.
type selection struct {
	subjects     []string  // at most one; empty: all
	since, until time.Time // zero: not set
	follow       bool

	providers, events, entities, users []string
	ids                                []string // may be abbreviated
}

// flags adds the flags and the argument SUBJECT to a command.
func (s *selection) flags(c *cobra.Command) {
	now := time.Now() // durations before now refer to it, in both flags
	f := c.Flags()
	f.Func("since", "only events stored since this `time`: "+timeForms+" (default: now)", setTime(&s.since, now))
	f.Func("until", "only events stored until this `time`, given as for --since", setTime(&s.until, now))
	f.Func("provider", "only events of this `provider`: "+inWords(providers.Names(), "or"),
		add(&s.providers, inWords(providers.Names(), "or"), func(name string) bool { return slices.Contains(providers.Names(), name) }))
	f.Func("event", "only events of this `name`, with wildcards as in a subject: order.paid, 'order.*'",
		add(&s.events, "an event's name such as order.paid, with * for any one token, > at the end for one or more", isEventPattern))
	f.Func("entity", "only events about this `entity`: a kind such as order, or one thing such as order/4711",
		add(&s.entities, "an entity", isNotEmpty))
	f.Func("user", "only events about the person with this `id`", add(&s.users, "an id", isNotEmpty))
	f.Func("id", "only the event with this `id`, or whose id begins with it", add(&s.ids, "an id", isNotEmpty))
	c.Args = takes(0, 1, "at most one subject, in quotes so that the shell leaves > and * alone")
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

// isEventPattern reports whether the text is a pattern, or an event's name: any text without wildcards.
func isEventPattern(text string) bool {
	return isPattern(text) || text != "" && !strings.ContainsAny(text, "*>")
}

// partWildcard matches a wildcard that is only a part of a token: NATS takes it for an ordinary character.
var partWildcard = regexp.MustCompile(`[^.][*>]|[*>][^.]`)

// isPattern reports whether the text is a subject, perhaps with wildcards.
func isPattern(text string) bool {
	return server.IsValidSubject(text) && !partWildcard.MatchString(text)
}

const timeForms = "a duration before now such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z"

// setTime returns a function for a flag that takes a time, or a duration before now.
func setTime(to *time.Time, now time.Time) func(string) error {
	return func(text string) (err error) {
		*to, err = parseTime(text, now)
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
	case t.Before(stream.Beginning): // the zero time would mean that the flag isn't set
		return stream.Beginning, nil
	}
	return t, nil
}

// check sets the subject, and checks it and the flags. With --until, nothing is followed.
func (s *selection) check(args []string) error {
	s.subjects, s.follow = args, s.follow && s.until.IsZero()
	switch {
	case len(args) == 1 && !isPattern(args[0]):
		return usagef(example("SUBJECT: got %q; takes a subject such as 'webhooks.ENDPOINT.>': tokens separated by dots, "+
			"* for any one, > at the end for one or more"), args[0])
	case time.Until(s.since) > time.Minute: // the server's clock may be a little ahead
		return usagef("--since: %s is in the future", s.since.Format(time.RFC3339))
	case s.until.After(time.Now()):
		return usagef("--until: %s is in the future; leave it out to go on until Ctrl-C", s.until.Format(time.RFC3339))
	case !s.until.IsZero() && s.since.After(s.until):
		return usagef("--until: %s is before --since, %s", s.until.Format(time.RFC3339), s.since.Format(time.RFC3339))
	}
	return nil
}

// untilCtrlC returns a command's function that calls run. Ctrl-C is the usual end, and no failure, of a
// command that follows the stream.
func (s *selection) untilCtrlC(prog program, run cobraRun) cobraRun {
	return func(c *cobra.Command, args []string) error {
		prog.endIfUnread()
		err := run(c, args)
		if s.follow && isInterrupted(c.Context(), err) {
			return nil
		}
		return err
	}
}

// section returns the part of the stream to read. The other filters aren't the server's: see matches.
func (s *selection) section(cfg *config.Config) stream.Section {
	section := stream.Section{Stream: cfg.StreamName, Subjects: s.subjects, Since: s.since, Until: s.until, Stop: !s.follow}
	if len(section.Subjects) == 0 {
		section.Subjects = []string{cfg.SubjectPrefix + ".>"}
	}
	if section.Since.IsZero() && (section.Stop || len(s.ids) > 0) {
		section.Since = stream.Beginning
	}
	return section
}

// event returns the event of a message, or nil if it doesn't match. If the message is neither one of the
// bridge's events nor the stream's own, it prints why and returns nil.
func (s *selection) event(prog program, m stream.Message) *event.Event {
	e, err := event.Parse(m.Data())
	switch {
	case m.IsMarker():
		return nil
	case err != nil:
		prog.say("skipping a message on %s that is not one of the bridge's events: %v", m.Subject(), err)
		return nil
	case !s.matches(&e):
		return nil
	}
	return &e
}

func (s *selection) matches(e *event.Event) bool {
	isNamed := func(name string) bool {
		return name == e.Event || server.SubjectsCollide("x.x."+name, event.Subject("x", "x", e.Event))
	}
	isID := func(id string) bool { return strings.HasPrefix(e.ID, id) }
	return isOneOf(s.providers, e.Provider) && isOneOf(s.users, e.UserID) &&
		(isOneOf(s.entities, e.Entity) || isOneOf(s.entities, e.Subject)) &&
		(len(s.events) == 0 || slices.ContainsFunc(s.events, isNamed)) &&
		(len(s.ids) == 0 || slices.ContainsFunc(s.ids, isID))
}

// isOneOf reports whether the value is wanted. An empty list means that any is.
func isOneOf(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}
