package providers

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// The consumer's typed events and the bridge agree on which bodies are as documented: for every
// sample and composed body, with each member in turn removed or of another kind.
func TestShape(t *testing.T) {
	for name, typed := range map[string]func(*event.Event) error{
		"flock":   func(e *event.Event) error { _, err := e.Flock(); return err },
		"frigade": func(e *event.Event) error { _, err := e.Frigade(); return err },
	} {
		p, drifted, fit := ByName(name), 0, 0
		check := func(body []byte, isWhole bool) {
			text, err := stringify.Parse(body)
			expect.NoErrorf(t, err, "%s", body)
			key := secret.New("secret")
			claims, _ := p.Verify(verify.Request{
				Header: http.Header{p.Signature.Header: {verify.Hex.Encode(key.MAC(text))}},
				Raw:    text, Body: text, Scheme: verify.Payload, Secrets: []secret.Secret{key}, Now: time.Now(), Untimed: true,
			})
			got := ""
			if err := typed(&event.Event{Data: json.RawMessage(text)}); err != nil {
				got = strings.Fields(err.Error())[1]
				drifted++
			} else {
				fit++
			}
			if claims.Drift != got || isWhole && got != "" {
				t.Errorf("%s: the bridge finds %q, the event %q", body, claims.Drift, got)
			}
		}
		bodies := composed(p)
		samples := os.DirFS("../" + name + "/samples")
		files, err := fs.Glob(samples, "[0-9]*.json")
		if err != nil || len(files) == 0 {
			t.Fatal(err)
		}
		for _, file := range files {
			body, err := fs.ReadFile(samples, file)
			expect.NoError(t, err)
			if len(body) < 10_000 {
				bodies = append(bodies, body)
			}
		}
		for _, body := range bodies {
			check(body, true)
			var whole any
			expect.NoError(t, json.Unmarshal(body, &whole))
			for changed := range changes(whole, 0) {
				if text, err := json.Marshal(changed); err == nil && changed != nil {
					if _, ok := changed.(map[string]any); ok {
						check(text, false)
					}
				}
			}
		}
		if drifted < 500 || fit < 500 {
			t.Errorf("%s: only %d drifted and %d fit", name, drifted, fit)
		}
	}
}

// composed returns the body that `bridge send` makes of each known event.
func composed(p *verify.Provider) (all [][]byte) {
	for _, name := range p.Events {
		body, err := p.Renew(p.Compose(name, "id1", nil), time.Now())
		if err != nil {
			panic(err)
		}
		all = append(all, body)
	}
	return all
}

// changes yields a value with each member, down to the third level, removed or of another kind.
func changes(value any, depth int) func(yield func(any) bool) {
	return func(yield func(any) bool) {
		members, ok := value.(map[string]any)
		if !ok || depth == 3 {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			for changed := range changes(members[name], depth+1) {
				if !yield(with(members, name, changed)) {
					return
				}
			}
			without := maps.Clone(members)
			delete(without, name)
			if !yield(without) {
				return
			}
			for _, other := range []any{nil, true, json.Number("12345678901234567890"), "x", []any{}, map[string]any{}} {
				if !yield(with(members, name, other)) {
					return
				}
			}
		}
	}
}

func with(members map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(members)
	changed[name] = value
	return changed
}
