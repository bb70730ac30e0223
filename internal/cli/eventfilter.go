package cli

import (
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// eventFilter selects events that match one value of each kind. A kind without values matches all.
type eventFilter struct{ providers, events, entities, users, ids []string }

func (f *eventFilter) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.providers, "provider", nil, "only events of this provider: "+inWords(providers.Names(), "or"))
	c.Flags().StringArrayVar(&f.events, "event", nil, "only events of this name, which may have wildcards as a subject has: invitee.accepted, 'invitee.*'")
	c.Flags().StringArrayVar(&f.entities, "entity", nil, "only events about this: a kind such as invitee, or one thing such as invitee/customer_67890")
	c.Flags().StringArrayVar(&f.users, "user", nil, "only events about the person of this id")
	c.Flags().StringArrayVar(&f.ids, "id", nil, "only the event of this id, or whose id begins so")
	complete(c, "provider", providers.Names()...)
	complete(c, "event", knownEvents()...)
}

func (f *eventFilter) check() error {
	for _, p := range f.providers {
		if providers.ByName(p) == nil {
			return usagef("--provider: got %q; takes %s", p, inWords(providers.Names(), "or"))
		}
	}
	for _, name := range f.events {
		if name == "" || hasWildcard(name) && !server.IsValidSubject(name) {
			return usagef("--event: got %q; takes an event's name such as invitee.accepted, with * for any one token, > at the end for any more", name)
		}
	}
	for flag, values := range map[string][]string{"entity": f.entities, "user": f.users, "id": f.ids} {
		if slices.Contains(values, "") {
			return usagef("--%s: got %q; takes an id", flag, "")
		}
	}
	return nil
}

// hasWildcard reports whether one of the tokens is a wildcard.
func hasWildcard(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "."), func(token string) bool { return token == "*" || token == ">" })
}

// subjects returns the subjects of the events that may match. JetStream refuses overlapping ones.
func (f *eventFilter) subjects(prefix string) (subjects []string) {
	for _, name := range f.events {
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

// isEmpty reports whether everything matches, including what isn't an event.
func (f *eventFilter) isEmpty() bool {
	return len(f.providers)+len(f.events)+len(f.entities)+len(f.users)+len(f.ids) == 0
}

func (f *eventFilter) matches(e *event.Event) bool {
	one := func(values []string, matches func(value string) bool) bool {
		return len(values) == 0 || slices.ContainsFunc(values, matches)
	}
	return one(f.providers, func(p string) bool { return p == e.Provider }) &&
		one(f.events, func(name string) bool {
			return name == e.Event || hasWildcard(name) && server.SubjectsCollide("x.x."+name, event.Subject("x", "x", e.Event))
		}) &&
		one(f.entities, func(entity string) bool { return entity == e.Entity || entity == e.Subject }) &&
		one(f.users, func(id string) bool { return id == e.UserID }) &&
		one(f.ids, func(id string) bool { return strings.HasPrefix(e.ID, id) })
}
