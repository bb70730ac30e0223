package inspect

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// fakeMsg is a message with a subject and data only.
type fakeMsg struct {
	jetstream.Msg
	subject string
	data    []byte
}

func (m fakeMsg) Subject() string      { return m.subject }
func (m fakeMsg) Data() []byte         { return m.data }
func (m fakeMsg) Headers() nats.Header { return nil }

// The page holds static/filter.js to the same file, in test/browser.
func TestQuery(t *testing.T) {
	text, err := os.ReadFile("testdata/queries.json")
	if err != nil {
		t.Fatal(err)
	}
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
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases.Queries {
		q := newQuery(url.Values{"search": {c.Search}, "provider": {c.Provider}, "event": {c.Event}})
		var got []string
		for _, name := range slices.Sorted(maps.Keys(cases.Messages)) {
			m := cases.Messages[name]
			data := []byte(m.Event)
			if m.Text != "" {
				data = []byte(m.Text)
			}
			if q.matches(stream.Message{Msg: fakeMsg{subject: m.Subject, data: data}}) {
				got = append(got, name)
			}
		}
		if slices.Sort(c.Finds); !slices.Equal(got, c.Finds) {
			t.Errorf("search %q, provider %q, event %q: found %q, want %q", c.Search, c.Provider, c.Event, got, c.Finds)
		}
	}
}
