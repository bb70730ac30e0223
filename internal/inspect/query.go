package inspect

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/event"
)

// query is what the page's search and selects ask for. It selects what static/filter.js does, which
// testdata/queries.json holds both to.
type query struct {
	terms           []term
	provider, event string
}

// term is a word of the search: it must be in the field or, without one, anywhere in the message.
type term struct {
	field func(subject string, e *event.Event) string
	word  string // in lower case
}

// fields are the fields of an event that a search may name. Of a message that isn't an event, they
// are "".
var fields = map[string]func(subject string, e *event.Event) string{
	"user": func(_ string, e *event.Event) string { return e.UserID },
	"entity": func(_ string, e *event.Event) string {
		if e.Subject != "" {
			return e.Subject
		}
		return e.Entity
	},
	"id":       func(_ string, e *event.Event) string { return e.ID },
	"event":    func(_ string, e *event.Event) string { return e.Event },
	"provider": func(_ string, e *event.Event) string { return e.Provider },
	"signed":   func(_ string, e *event.Event) string { return e.Signed },
	"subject":  func(subject string, _ *event.Event) string { return subject },
}

var named = regexp.MustCompile(`^([a-z]+):(.*)$`)

func newQuery(values url.Values) query {
	q := query{provider: values.Get("provider"), event: values.Get("event")}
	for word := range strings.FieldsSeq(strings.ToLower(values.Get("search"))) {
		t := term{word: word}
		if m := named.FindStringSubmatch(word); m != nil && fields[m[1]] != nil {
			t = term{fields[m[1]], m[2]}
		}
		q.terms = append(q.terms, t)
	}
	return q
}

func (q query) matches(v shown) bool {
	e := v.Event
	if e == nil {
		e = new(event.Event)
	}
	if q.provider != "" && q.provider != e.Provider || q.event != "" && q.event != e.Event {
		return false
	}
	var text string // of the message, in lower case
	return !slices.ContainsFunc(q.terms, func(t term) bool {
		if t.field != nil {
			return !strings.Contains(strings.ToLower(t.field(v.Subject, e)), t.word)
		}
		if text == "" { // the payload holds the attributes as JSON, with escapes
			text = strings.ToLower(strings.Join([]string{v.Subject, e.Type, e.Event, e.Subject, e.Entity, e.EntityID, e.UserID, v.Payload}, "\n"))
		}
		return !strings.Contains(text, t.word)
	})
}
