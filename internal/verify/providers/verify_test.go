package providers_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func parse(t *testing.T, body string) stringify.Text {
	t.Helper()
	text, err := stringify.Parse([]byte(body))
	expect.NoError(t, err)
	return text
}

// A MAC has one spelling in each encoding: the last character of unpadded base64 has two bits to spare.
func TestBase64IsStrict(t *testing.T) {
	const zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for text, want := range map[string]bool{
		zero: true, zero + "=": true, zero[:42] + "B": false, zero[:42] + "C": false, zero[:42] + "B=": false, zero[:42] + "E": true,
		zero[:42] + "=": false, zero[:41] + "A==": false, zero[:20] + "+-" + zero[22:]: false, zero + "==": false, zero[:42] + "\n": false, "": false,
	} {
		if _, got := verify.Decode(text, []verify.Encoding{verify.Base64, verify.Hex}); got != want {
			t.Errorf("%q is decoded: %v, want %v", text, got, want)
		}
	}
	if _, got := verify.Decode(zero, []verify.Encoding{verify.Hex}); got {
		t.Error("base64 is decoded where only hex may be")
	}
}

// Anybody could sign with an empty key.
func TestEmptySecretVerifiesNothing(t *testing.T) {
	empty := secret.New("")
	for _, p := range providers.All {
		v := read(t, p)[0]
		r := requestOf(t, v)
		r.Secrets = []secret.Secret{empty}
		for _, s := range p.Signature.Schemes {
			r.Header, r.Scheme = p.SignHeaders(nil, empty, s.Signed(r.Body)), s.Name
			expect.ErrorIs(t, verify.WrongSignature, expect.Err(p.Verify(r)), "%s by %s", p.Name, s.Name)
		}
	}
}

// The fields of a provider's value are consistent.
func TestProviders(t *testing.T) {
	for _, p := range providers.All {
		if p.Signature.Header != http.CanonicalHeaderKey(p.Signature.Header) {
			t.Errorf("%s: the header %s is not in canonical case", p.Name, p.Signature.Header)
		}
		for what, isThere := range map[string]bool{
			"title": p.Title != "", "type prefix": p.TypePrefix != "", "encodings": len(p.Signature.Format.Encodings) > 0, "schemes": len(p.Signature.Schemes) > 0,
			"tolerance": p.Time.Tolerance > 0, "events": len(p.Events) > 0, "samples": len(p.Samples) > 0, "colours": p.Colour[0] != "" && p.Colour[1] != "",
		} {
			if !isThere {
				t.Errorf("%s has no %s", p.Name, what)
			}
		}
	}
}

// Every sample, and every known event with made-up data, is accepted when it is signed by any
// scheme.
func TestSignedIsVerified(t *testing.T) {
	key := secret.New("right")
	for _, p := range providers.All {
		var bodies [][]byte
		for _, sample := range p.Samples {
			bodies = append(bodies, []byte(sample))
		}
		for _, name := range append(p.Events, "thing.happened") {
			body, err := p.NewBody(name, nil, "id")
			expect.NoError(t, err)
			bodies = append(bodies, body)
		}
		for _, body := range bodies {
			for _, s := range p.SchemeNames() {
				body, err := p.Renew(body, now)
				expect.NoError(t, err)
				header, err := p.Sign(verify.Signing{Scheme: s, Key: key, Body: body})
				expect.NoError(t, err)
				r := verify.Request{
					Header: header, Raw: body, Body: parse(t, string(body)), Secrets: []secret.Secret{key},
					Scheme: s, Tolerance: p.Time.Tolerance, Now: now, Freshness: verify.FreshnessSigned,
				}
				if c, err := p.Verify(r); err != nil || c.Scheme != s {
					t.Errorf("%s by %s: %v: %s", p.Name, s, err, body)
				}
				tampered := p.Tamper(body, s)
				r.Raw, r.Body = tampered, parse(t, string(tampered))
				expect.ErrorIs(t, verify.WrongSignature, expect.Err(p.Verify(r)), "%s by %s, tampered with", p.Name, s)
			}
		}
	}
}

// A vendor may sign a member that isn't called data, and have no signature in the body.
func TestOtherMember(t *testing.T) {
	key := secret.New("right")
	p := verify.Provider{
		Signature: verify.Signature{
			Header: "X-Sig", Format: verify.Format{Encodings: []verify.Encoding{verify.Hex}, Prefix: "v1="},
			Schemes: []verify.Scheme{{Name: "record", Members: []string{"record"}}},
		},
		Read: func(_ verify.Request, c verify.Claims) (verify.Claims, error) { return c, nil },
	}
	const body = `{"record":{"id":1}}`
	header, err := p.Sign(verify.Signing{Key: key, Body: []byte(body)})
	expect.NoError(t, err)
	tampered := p.Tamper([]byte(body), "record")
	signature := verify.Hex.Encode(key.MAC([]byte(`{"id":1}`)))
	for _, test := range []struct {
		header http.Header
		body   string
		want   error
	}{
		{header, body, nil},
		{header, string(tampered), verify.WrongSignature},
		{nil, `{"":"` + signature + `","record":{"id":1}}`, verify.NoSignature},
	} {
		_, err := p.Verify(verify.Request{
			Header: test.header, Raw: []byte(test.body), Body: parse(t, test.body), Secrets: []secret.Secret{key}, Scheme: "record", Untimed: true,
		})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got the error %v, want %v", test.body, err, test.want)
		}
	}
}

// The error says if a time is in milliseconds.
func TestMilliseconds(t *testing.T) {
	p := providers.All[0]
	body := []byte(`{"name":"a.b","entity":"a","timestamp":1767323045000}`)
	header, err := p.Sign(verify.Signing{Scheme: verify.Payload, Key: secret.New("key"), Body: body})
	expect.NoError(t, err)
	_, err = p.Verify(verify.Request{
		Header: header, Raw: body, Body: body, Secrets: []secret.Secret{secret.New("key")},
		Scheme: verify.Auto, Tolerance: time.Hour, Now: time.Unix(1767323045, 0),
	})
	if !errors.Is(err, verify.Future) || !strings.Contains(err.Error(), "its time is in milliseconds") {
		t.Errorf("got %v, want Future, since its time is in milliseconds", err)
	}
}

// A delivery that is old and nameless is in quarantine as unreadable, answered 200. Where the name
// isn't signed but the time is, it is stale: anybody could have removed the name.
func TestOldAndNameless(t *testing.T) {
	for _, test := range []struct {
		provider, scheme, body string
		want                   error
	}{
		{"flock", "payload", `{"timestamp":1767323045,"data":{"a":1}}`, verify.Unreadable},
		{"flock", "timestamp-data", `{"timestamp":1767323045,"data":{"a":1}}`, verify.Stale},
		{"frigade", "payload", `{"data":{"a":1},"time":"2026-01-02T03:04:05Z"}`, verify.Unreadable},
		{"frigade", "data", `{"data":{"a":1},"time":"2026-01-02T03:04:05Z"}`, verify.Unreadable},
		{"frigade", "data", `{"data":{"createdAt":"2026-01-02T03:04:05Z"},"time":"2026-02-02T03:04:05Z"}`, verify.Stale},
	} {
		p := providers.ByName(test.provider)
		header, err := p.Sign(verify.Signing{Scheme: test.scheme, Key: secret.New("key"), Body: []byte(test.body)})
		expect.NoError(t, err)
		_, err = p.Verify(verify.Request{
			Header: header, Raw: []byte(test.body), Body: parse(t, test.body), Secrets: []secret.Secret{secret.New("key")},
			Scheme: test.scheme, Freshness: verify.FreshnessSigned, Tolerance: time.Hour, Now: time.Unix(1770000000, 0),
		})
		if !errors.Is(err, test.want) {
			t.Errorf("%s, %s, %s: %v, want %v", test.provider, test.scheme, test.body, err, test.want)
		}
	}
}

// If only the signed time is too old, the error says so: the setting that ignores it would help.
func TestStaleBySignedTime(t *testing.T) {
	p := providers.ByName("frigade")
	for hours, want := range map[time.Duration]string{1: "too old: data.createdAt", 25: "too old"} {
		at := func(hours time.Duration) string { return now.Add(-hours * time.Hour).Format(time.RFC3339) }
		body := `{"type":"a.b","time":"` + at(hours) + `","data":{"createdAt":"` + at(30) + `"}}`
		header, err := p.Sign(verify.Signing{Scheme: "data", Key: secret.New("key"), Body: []byte(body)})
		expect.NoError(t, err)
		_, err = p.Verify(verify.Request{
			Header: header, Raw: []byte(body), Body: parse(t, body), Secrets: []secret.Secret{secret.New("key")},
			Scheme: "data", Freshness: verify.FreshnessSigned, Tolerance: 24 * time.Hour, Now: now,
		})
		if !errors.Is(err, verify.Stale) || err.Error() != want {
			t.Errorf("its time %d h old: %v, want %q", hours, err, want)
		}
	}
}
