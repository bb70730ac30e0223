package inspect

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"testing"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// test/browser compares static/filter.js with the same file.
func TestQuery(t *testing.T) {
	text, err := os.ReadFile("testdata/queries.json")
	expect.NoError(t, err)
	var cases struct {
		Messages map[string]struct {
			Subject, Text string
			Event         json.RawMessage
		}
		Queries []struct {
			Search, Provider, Event string
			Finds                   []string
		}
	}
	expect.NoError(t, json.Unmarshal(text, &cases))
	for _, c := range cases.Queries {
		q := newQuery(url.Values{"search": {c.Search}, "provider": {c.Provider}, "event": {c.Event}})
		var got []string
		for _, name := range slices.Sorted(maps.Keys(cases.Messages)) {
			m := cases.Messages[name]
			v := item{Subject: m.Subject, Payload: cmp.Or(string(m.Event), m.Text)}
			if e, err := event.Parse([]byte(v.Payload)); err == nil {
				v.Event = &e
			}
			if q.matches(v) {
				got = append(got, name)
			}
		}
		if slices.Sort(c.Finds); !slices.Equal(got, c.Finds) {
			t.Errorf("search %q, provider %q, event %q: found %q, want %q", c.Search, c.Provider, c.Event, got, c.Finds)
		}
	}
}
