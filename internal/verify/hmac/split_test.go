package hmac

import (
	"maps"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Of all settings that are accepted, the signed text has one division into headers and body: a
// header with JSON in it can't take the body's place, nor one with a time that of the time.
func TestOneDivision(t *testing.T) {
	type division struct{ a, b, stamp, body string }
	const early, late = "2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z"
	for _, c := range []struct {
		signed    string
		sent, cut division
	}{
		{"{header:A}{body}{header:B}", division{a: `1{"x":1}`, b: "2", body: `{"y":2}`}, division{a: "1", b: `{"y":2}2`, body: `{"x":1}`}},
		{"{header:A}{body}.{header:B}", division{a: `1{"x":1}.`, b: "2", body: `{"y":2}`}, division{a: "1", b: `{"y":2}.2`, body: `{"x":1}`}},
		{"{header:A}{timestamp}#{header:B}.{body}", division{"1", "2" + late + "#3", early, "{}"}, division{"1" + early + "#2", "3", late, "{}"}},
		{"{header:A}.{body}{header:B}", division{a: "1", b: `{"y":2}`, body: `{"x":1}`}, division{a: `1.{"x":1}`, b: "2", body: `{"y":2}`}},
	} {
		set := map[string]string{"SIGNATURE_HEADER": "S", "SIGNATURE_FORMAT": "{hex}", "SIGNED": c.signed, "EVENT": "body:type", "TIMESTAMP_UNIT": "rfc3339"}
		if c.sent.stamp != "" {
			set["TIMESTAMP"] = "header:T"
		}
		p, problems := presets[len(presets)-1].Configure("acme", settings(t, maps.Clone(set)))
		if problems != nil {
			continue
		}
		key := secret.New("key")
		request := func(d division) verify.Request {
			parsed, err := p.Parse(nil, []byte(d.body))
			expect.NoError(t, err)
			r := verify.Request{Header: map[string][]string{"A": {d.a}, "B": {d.b}, "T": {d.stamp}}, Raw: []byte(d.body), Body: parsed, Secrets: []secret.Secret{key}}
			text, err := p.SignedText(r)
			if err != nil {
				return r
			}
			r.Header = p.Resign(r.Header, key, text)
			return r
		}
		sent, other := request(c.sent), request(c.cut)
		other.Header["S"] = sent.Header["S"]
		if got, err := p.Verify(other); got.SignedText != nil {
			t.Errorf("%s: %+v was signed, %+v is taken: %v", c.signed, c.sent, c.cut, err)
		}
	}
}
