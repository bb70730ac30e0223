package hmac

import (
	"errors"
	"net/http"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// From what quarantine keeps, every delivery can be verified again and gives the same event; but it
// keeps no signature.
func TestQuarantined(t *testing.T) {
	for _, preset := range Presets {
		for _, v := range read(t, preset.Name) {
			if v.Claims == nil {
				continue
			}
			t.Run(preset.Name+"/"+v.Name, func(t *testing.T) {
				p := named(t, preset.Name, settings(t, v.Settings))
				r := requestOf(t, v, p)
				r.Now = r.Now.AddDate(1, 0, 0)
				c, err := p.Verify(r)
				if p.Time.Unit != verify.NoTime && !errors.Is(err, verify.Stale) || p.Time.Unit == verify.NoTime && err != nil {
					t.Fatalf("a year later: %v", err)
				}
				at := &verify.Endpoint{Name: "hooks", Provider: p, Tolerance: r.Tolerance, Secrets: func() []secret.Secret { return r.Secrets }}
				m := quarantine.Delivery{
					ID: at.ID(c), Endpoint: at.Name, Provider: p.Name, Reason: "stale", Received: r.Now,
					Seal: at.Seal(c, r.Secrets[c.Secret], r.Raw), Headers: p.Keep(r.Header), Body: r.Raw,
				}.Message("webhooks")
				header := func(name string) string {
					for _, h := range m.Headers {
						if h.Name == name {
							return h.Value
						}
					}
					return ""
				}
				kept, err := quarantine.Parse(header, m.Data)
				expect.NoError(t, err)
				body, err := p.Parse(kept.Headers, kept.Body, nil)
				expect.NoError(t, err)

				sealed := at.Sealed(kept.Seal, kept.Headers, kept.Body, body, kept.Received)
				sealed.Untimed = true
				again, err := p.Verify(sealed)
				expect.NoErrorf(t, err, "verified again")
				expect.Equal(t, *v.Claims, claimed(again), "the claims, verified again")

				replayed := at.Request(kept.Headers, kept.Body, body, v.Now)
				refused := func(what string) {
					t.Helper()
					if _, err := p.Verify(replayed); verify.IsAuthentic(err) || err == nil {
						t.Errorf("%s is a signature: %v", what, err)
					}
				}
				refused("what is kept")
				replayed.Header = kept.Headers.Clone()
				replayed.Header.Del(p.Signature.Header) // a signature under another name would count now
				refused("what is kept, without " + p.Signature.Header)
				for _, h := range m.Headers {
					for name := range kept.Headers {
						replayed.Header = kept.Headers.Clone()
						replayed.Header.Set(name, h.Value)
						refused(h.Name + " as " + name)
					}
				}
				replayed.Header = p.SignHeaders(kept.Headers, r.Secrets[c.Secret], c.SignedText)
				if _, err := p.Verify(replayed); err != nil {
					t.Errorf("signed anew: %v", err)
				}

				kept.Headers = http.Header{}
				sealed = at.Sealed(kept.Seal, kept.Headers, append([]byte(" "), kept.Body...), body, kept.Received)
				if _, err := p.Verify(sealed); err == nil || verify.IsAuthentic(err) {
					t.Errorf("another body under the seal: %v", err)
				}
			})
		}
	}
}
