package inspect

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/ade15e70/webhook-bridge/event"
)

// query is what the page's search and selects ask for. It selects what static/filter.js does, which
// testdata/queries.json holds both to.
type query struct {
	words           []string // in lower case
	provider, event string
}

func newQuery(values url.Values) query {
	return query{strings.Fields(strings.ToLower(values.Get("search"))), values.Get("provider"), values.Get("event")}
}

// matches reports whether every word is in the field that it names or, without one, anywhere in the
// message. Of a message that isn't an event, the fields are "".
func (q query) matches(v shown) bool {
	e := cmp.Or(v.Event, new(event.Event))
	if q.provider != "" && q.provider != e.Provider || q.event != "" && q.event != e.Event {
		return false
	}
	if len(q.words) == 0 {
		return true
	}
	fields := map[string]string{
		"user": e.UserID, "entity": cmp.Or(e.Subject, e.Entity), "id": e.ID, "event": e.Event, "provider": e.Provider,
		"signed": e.Signed, "subject": v.Subject,
	}
	all := "" // that is searched
	for _, word := range q.words {
		name, value, _ := strings.Cut(word, ":")
		text, known := fields[name]
		if !known || name == word {
			if all == "" { // the payload holds the attributes as JSON, with escapes
				all = strings.ToLower(strings.Join([]string{v.Subject, e.Type, e.Event, e.Subject, e.Entity, e.EntityID, e.UserID, v.Payload}, "\n"))
			}
			text, value = all, word
		}
		if !strings.Contains(strings.ToLower(text), value) {
			return false
		}
	}
	return true
}
