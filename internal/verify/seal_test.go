package verify_test

import (
	"bytes"
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

func newEndpoint(name string, p *verify.Provider, scheme string, secrets ...string) *verify.Endpoint {
	var keys []secret.Secret
	for _, s := range secrets {
		keys = append(keys, secret.New(s))
	}
	return &verify.Endpoint{
		Name: name, Provider: p, Scheme: scheme, Freshness: verify.FreshnessSigned, Tolerance: p.Time.Tolerance,
		Secrets: func() []secret.Secret { return keys },
	}
}

func parse(t *testing.T, body []byte) stringify.Text {
	t.Helper()
	text, err := stringify.Parse(body)
	expect.NoError(t, err)
	return text
}

// A seal proves the same as the signature, for the same endpoint, secret and body, and nothing
// else; and it is no signature.
func TestSeal(t *testing.T) {
	for _, p := range providers.All {
		for _, s := range p.Signature.Schemes {
			t.Run(p.Name+"/"+s.Name, func(t *testing.T) { seal(t, p, s.Name) })
		}
	}
}

func seal(t *testing.T, p *verify.Provider, scheme string) {
	body, err := p.NewBody(p.Events[0], nil, "id")
	expect.NoError(t, err)
	if body, err = p.Renew(body, now); err != nil {
		t.Fatal(err)
	}
	header, err := p.Sign(verify.Signing{Scheme: scheme, Key: secret.New("right"), Body: body})
	expect.NoError(t, err)
	e := newEndpoint("here", p, scheme, "other", "right")
	request := e.Request(header, body, parse(t, body), now)
	claims, err := p.Verify(request)
	expect.NoError(t, err)
	sealed := e.Seal(claims, e.Secrets()[claims.Secret], body)

	check := func(e *verify.Endpoint, seal string, body []byte) error {
		again, err := e.Provider.Verify(e.Sealed(seal, nil, body, parse(t, body), now))
		if err == nil && (e.ID(again) != e.ID(claims) || again.Scheme != scheme) {
			t.Errorf("%+v was sealed, %+v is claimed", claims, again)
		}
		return err
	}
	if err := check(e, sealed, body); err != nil {
		t.Errorf("sealed: %v", err)
	}
	if err := check(newEndpoint("here", p, scheme, "right", "newer"), sealed, body); err != nil {
		t.Errorf("with the secret elsewhere in the list: %v", err)
	}
	zero := strings.Repeat("0", 64)
	signature := header.Get(p.Signature.Header)
	changed := bytes.Replace(body, []byte("{"), []byte(`{"x":1,`), 1)
	for name, err := range map[string]error{
		"with other secrets":      check(newEndpoint("here", p, scheme, "other", ""), sealed, body),
		"with no secret":          check(newEndpoint("here", p, scheme), sealed, body),
		"at another endpoint":     check(newEndpoint("there", p, scheme, "right"), sealed, body),
		"with another seal":       check(e, zero, body),
		"with no seal":            check(e, "", body),
		"with the signature":      check(e, signature, body),
		"with another body":       check(e, sealed, changed),
		"with half a seal":        check(e, sealed[:32], body),
		"with more than hex":      check(e, sealed+"x", body),
		"under a seal of nothing": check(e, e.Seal(verify.Claims{}, secret.New(""), body), body),
	} {
		if !errors.Is(err, verify.WrongSignature) {
			t.Errorf("%s: got %v, want WrongSignature", name, err)
		}
	}
	mac, _ := verify.Decode(sealed, []verify.Encoding{verify.Hex})
	request.Header = http.Header{p.Signature.Header: {p.Signature.Format.Write(mac, "")}}
	expect.ErrorIs(t, verify.WrongSignature, expect.Err(p.Verify(request)), "as a signature")
}

// If settings describe the provider, the headers are kept, too, without the signature.
func TestSealBySettings(t *testing.T) {
	for _, preset := range providers.Presets {
		settings := preset.Settings
		if settings.Signed == "" {
			settings = verify.Settings{SignatureHeader: "X-Sig", SignatureFormat: "t={timestamp},v1={base64}", Signed: "{timestamp}{body}", Timestamp: "signature", Event: "header:X-Kind"}
		}
		p, problems := preset.Configure("here", settings)
		if problems != nil {
			t.Fatal(problems)
		}
		e := newEndpoint("here", p, p.Signature.Schemes[0].Name, "other", "right")
		body, err := p.NewBody("a.b", nil, "id")
		expect.NoError(t, err)
		if body, err = p.Renew(body, now); err != nil {
			t.Fatal(err)
		}
		header, err := p.Sign(verify.Signing{Key: secret.New("right"), Event: "a.b", ID: "id", Body: body, Time: now})
		expect.NoError(t, err)
		signature := header.Get(p.Signature.Header)
		text, err := p.Parse(header, body, nil)
		expect.NoError(t, err)
		claims, err := p.Verify(e.Request(header, body, text, now))
		expect.NoErrorf(t, err, "%s", p.Name)
		sealed, kept := e.Seal(claims, e.Secrets()[claims.Secret], body), p.Keep(header)
		if kept.Get(p.Signature.Header) == signature || len(kept.Get(p.Signature.Header)) != len(signature) {
			t.Errorf("%s: kept is %v", p.Name, kept)
		}
		again, err := p.Verify(e.Sealed(sealed, kept, body, text, now))
		if err != nil || e.ID(again) != e.ID(claims) || again.Name != claims.Name || again.Time != claims.Time {
			t.Errorf("%s: %+v was sealed, %+v is claimed, %v", p.Name, claims, again, err)
		}
		expect.ErrorIs(t, verify.WrongSignature, expect.Err(p.Verify(e.Sealed(strings.Repeat("0", 64), kept, body, text, now))), "%s, with another seal", p.Name)
		expect.ErrorIs(t, verify.WrongSignature, expect.Err(p.Verify(e.Request(kept, body, text, now))), "%s, what is kept as a delivery", p.Name)
		if h := p.SignHeaders(kept, secret.New("right"), claims.SignedText); h.Get(p.Signature.Header) != signature {
			t.Errorf("%s is signed anew as %q, not %q", p.Name, h.Get(p.Signature.Header), signature)
		}
	}
}

// A seal by a scheme to which the endpoint is no longer set gives OtherScheme.
func TestSealOfOtherScheme(t *testing.T) {
	p := providers.ByName("frigade")
	body := []byte(`{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{"a":1}}`)
	text := parse(t, body)
	e := newEndpoint("here", p, "data", "right")
	sealed := e.Seal(verify.Claims{Scheme: "data", SignedText: [][]byte{text.Member("data")}}, secret.New("right"), body)
	e.Scheme = "payload"
	expect.ErrorIs(t, verify.OtherScheme, expect.Err(p.Verify(e.Sealed(sealed, nil, body, text, now))), "the error")
}
