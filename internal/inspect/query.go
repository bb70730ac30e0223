package inspect

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/ade15e70/webhook-bridge/event"
)

// query is the page's filter. static/filter.js selects the same events: testdata/queries.json tests both.
type query struct {
	words           []string // in lower case
	provider, event string
}

func newQuery(values url.Values) query {
	return query{strings.Fields(strings.ToLower(values.Get("search"))), values.Get("provider"), values.Get("event")}
}

// matches reports whether each word is in the field that it names, or anywhere in the message if it
// names none. The fields of a message that isn't an event are "".
func (q query) matches(v item) bool {
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
	all := "" // the whole text of the message; made if a word needs it
	for _, word := range q.words {
		name, value, _ := strings.Cut(word, ":")
		text, known := fields[name]
		if !known || name == word {
			if all == "" { // the attributes too, which may have escapes in the payload
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
