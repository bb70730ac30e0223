package ingest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

var update = flag.Bool("update", false, "write testdata/messages.ndjson anew")

// The message of each delivery is pinned byte for byte. Consumers, the documents in docs/ and CloudEvents'
// JavaScript SDK in test/cloudevents are tested with the same file.
func TestMessages(t *testing.T) {
	r := newPipeline(t)
	var got bytes.Buffer
	encoder := json.NewEncoder(&got)
	encoder.SetEscapeHTML(false)
	var stored []message // the stream keeps the first of those with the same id
	kept := make(map[string]bool)
	for _, w := range webhooks(t) {
		m := r.send(w)
		check(t, w, m)
		expect.NoError(t, encoder.Encode(m))
		if id := m.Headers["Nats-Msg-Id"]; !kept[id] {
			kept[id] = true
			m.Vector = ""
			stored = append(stored, m)
		}
	}
	expect.Equal(t, stored, r.stored(), "what the stream has, compared with what was published")

	golden := filepath.Join("testdata", "messages.ndjson")
	if *update {
		expect.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	expect.NoError(t, err)
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s is not what is published; if that is meant, consumers must be told, and -update writes it (-file +published):\n%s",
			golden, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")))
	}
}

// attributes has the names in the order of the contract (section 3), and which must be there.
var attributes = []struct {
	name     string
	required bool
}{
	{"specversion", true},
	{"id", true},
	{"source", true},
	{"type", true},
	{"subject", false},
	{"time", false},
	{"datacontenttype", true},
	{"provider", true},
	{"event", true},
	{"entity", false},
	{"entityid", false},
	{"userid", false},
	{"receivedtime", true},
	{"signed", true},
}

var tokens = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$`)

// check compares a message with the contract, sections 3 and 4.
func check(t *testing.T, w webhook, m message) {
	t.Helper()
	prefix := "webhooks." + w.endpoint + "."
	expect.Equal(t, prefix+w.event, m.Subject, "%s: the subject", w.name)
	if event, ok := strings.CutPrefix(m.Subject, prefix); !ok || !tokens.MatchString(event) || len(event) > 200 {
		t.Errorf("%s: %s is no subject", w.name, m.Subject)
	}

	// No attribute can hold this text: its quotes would be escaped.
	_, data, _ := strings.Cut(m.Payload, `,"data":`)
	if want := dataOf(t, w); data != want+"}" {
		t.Errorf("%s: data is %s, want %s", w.name, data, want)
	}

	names, got := envelope(t, m)
	wanted := map[string]string{
		"specversion": "1.0", "id": w.id, "source": "/webhooks/" + w.endpoint, "datacontenttype": "application/json",
		"provider": w.provider.Name, "receivedtime": w.now.Format("2006-01-02T15:04:05.000Z"), "signed": w.signed,
	}
	if w.id == "" {
		wanted["id"] = got["id"]
	}
	for name, value := range w.attributes {
		if value != "" {
			wanted[name] = value
		}
	}
	expect.Equal(t, wanted, got, "%s: the attributes", w.name)
	var order []string
	for _, a := range attributes {
		if a.required || slices.Contains(names, a.name) {
			order = append(order, a.name)
		}
	}
	expect.Equal(t, append(order, "data"), names, "%s: the order of the attributes", w.name)
	if len(got["id"]) != 32 || m.Headers["Nats-Msg-Id"] != got["id"] || m.Headers["Content-Type"] != "application/cloudevents+json; charset=utf-8" {
		t.Errorf("%s: the id is %s, the headers are %v", w.name, got["id"], m.Headers)
	}
}

// dataOf returns the body as it is published: S of it; or as it came without white space between
// tokens, and of a form its payload.
func dataOf(t *testing.T, w webhook) string {
	t.Helper()
	if !w.provider.HasSettings() && !w.asSent {
		body, err := stringify.Parse([]byte(w.body))
		expect.NoError(t, err)
		return string(body)
	}
	body := w.body
	if form, err := url.ParseQuery(body); err == nil && form.Has("payload") {
		body = form.Get("payload")
	}
	var compact bytes.Buffer
	expect.NoError(t, json.Compact(&compact, []byte(body)))
	return compact.String()
}

// envelope returns the names of a payload's members, in order, and the attributes: all but data.
func envelope(t *testing.T, m message) (names []string, attributes map[string]string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(m.Payload))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		t.Fatalf("%s: %s is no object: %v", m.Vector, m.Payload, err)
	}
	attributes = make(map[string]string)
	for decoder.More() {
		name, err := decoder.Token()
		expect.NoErrorf(t, err, "%s", m.Vector)
		names = append(names, name.(string))
		var value any
		expect.NoErrorf(t, decoder.Decode(&value), "%s", m.Vector)
		if text, ok := value.(string); ok {
			attributes[name.(string)] = text
		} else if name != "data" {
			t.Errorf("%s: %s is %v, which is no text", m.Vector, name, value)
		}
	}
	return names, attributes
}
