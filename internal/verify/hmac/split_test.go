package hmac

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// If settings are accepted, every signed text can be split in one way only. The test tries short values
// of all that may be confused (JSON, a time, the text between the parts): no two deliveries have the
// same signed text.
func TestOneSplit(t *testing.T) {
	oneSplit(t, "#", "")
	oneSplit(t, ":", "{timestamp}:") // which a time contains
}

// oneSplit tries the templates that have the part contained, and text or nothing between two parts.
func oneSplit(t *testing.T, text, contained string) {
	t.Helper()
	const at = "2026-01-02T03:04:05Z"
	pieces := []string{"1", "{}", text, at}
	values := slices.Clone(pieces) // of one to three pieces
	for i := range 4 + 4*4 {
		for _, piece := range pieces {
			values = append(values, values[i]+piece)
		}
	}
	key := secret.New("key")
	signature := verify.Hex.Encode(key.MAC()) // of the empty text, which is taken for each signed text
	sealed := func(string, [][]byte) [][]byte { return nil }
	accepted := 0
	for _, template := range templates([]string{"{header:A}", "{header:B}", "{timestamp}", "{body}"}, text) {
		set := verify.Settings{
			SignatureHeader: "S", SignatureFormat: "{hex}", Signed: template, Timestamp: "header:T", TimestampUnit: "rfc3339", Event: "header:E",
		}
		p, problems := Presets[len(Presets)-1].Configure("hooks", set)
		if problems != nil || !strings.Contains(template, contained) {
			continue
		}
		of := func(header string) []string {
			if strings.Contains(template, header) {
				return values
			}
			return values[:1] // it isn't signed
		}
		seen := map[string]http.Header{}
		for _, a := range of("{header:A}") {
			for _, b := range of("{header:B}") {
				h := http.Header{"A": {a}, "B": {b}, "T": {at}, "E": {"event"}, "S": {signature}}
				c, err := p.Verify(verify.Request{Header: h, Raw: []byte("{}"), Body: []byte("{}"), Secrets: []secret.Secret{key}, Sealed: sealed, Untimed: true})
				if err != nil {
					continue
				}
				signed := string(bytes.Join(c.SignedText, nil))
				if other, ok := seen[signed]; ok {
					t.Fatalf("SIGNED=%s: %v and %v have the same signed text %s", template, other, h, signed)
				}
				seen[signed] = h
			}
		}
		if len(seen) > 0 {
			accepted++
		}
	}
	if accepted < 50 {
		t.Errorf("with %q: only %d templates are accepted", text, accepted)
	}
}

// templates lists the arrangements of some of the parts, with and without a text between two.
func templates(parts []string, text string) (all []string) {
	for i, part := range parts {
		all = append(all, part)
		for _, rest := range templates(slices.Delete(slices.Clone(parts), i, i+1), text) {
			all = append(all, part+rest, part+text+rest)
		}
	}
	return all
}

// The only value before a JSON object may contain the text after it, such as a time in seconds with a
// fraction: no other split leaves an object. Before a form, or beside another value, it is refused.
func TestOnlyValue(t *testing.T) {
	pieces := []string{"a", "1", ".", "{}", ` {"x":".{}"}`, "&payload=%7B%7D"}
	texts := slices.Clone(pieces) // of one to four pieces
	for i := range 6 + 6*6 + 6*6*6 {
		for _, piece := range pieces {
			texts = append(texts, texts[i]+piece)
		}
	}
	for template, want := range map[string]bool{
		"{header:A}.{body}": true, "v0.{header:A}.{body}": true, "{header:B}.{header:A}.{body}": false, "{header:A}.{body}.": false,
	} {
		accepted := false // with a full stop in the value
		for _, text := range texts {
			splits := 0
			for i := range text {
				raw, isSplit := strings.CutPrefix(text[i:], ".")
				if isSplit && accepts(t, template, text[:i], raw) {
					splits++
					accepted = accepted || strings.Contains(text[:i], ".")
				}
			}
			if splits > 1 {
				t.Errorf("SIGNED=%s: %q is accepted with %d splits", template, text, splits)
			}
		}
		if accepted != want {
			t.Errorf("SIGNED=%s: a value with a full stop is accepted: %t", template, accepted)
		}
	}
}

// accepts reports whether a correctly signed delivery with that value in header A is accepted.
func accepts(t *testing.T, template, value, raw string) bool {
	t.Helper()
	set := verify.Settings{SignatureHeader: "S", SignatureFormat: "{hex}", Signed: template, Event: "header:E"}
	p, problems := Presets[len(Presets)-1].Configure("hooks", set)
	if problems != nil {
		t.Fatal(problems)
	}
	key := secret.New("key")
	h := http.Header{
		"A": {value}, "B": {"b"}, "E": {"event"}, "Content-Type": {"application/x-www-form-urlencoded"},
		"S": {verify.Hex.Encode(key.MAC())}, // of the empty text, which is taken for each signed text
	}
	parsed, err := p.Parse(h, []byte(raw), nil)
	if err != nil {
		return false
	}
	sealed := func(string, [][]byte) [][]byte { return nil }
	_, err = p.Verify(verify.Request{Header: h, Raw: []byte(raw), Body: parsed, Secrets: []secret.Secret{key}, Sealed: sealed})
	return err == nil
}
