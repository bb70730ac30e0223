package verify_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// The cost of refusing a wrong signature, by provider.
func BenchmarkRefusal(b *testing.B) {
	for _, p := range providers.All {
		e := newEndpoint("here", p, p.Signatures()[0], "right")
		body, err := p.NewBody(p.Events[0], nil, "id")
		expect.NoError(b, err)
		header := http.Header{p.Signature.Header: {strings.Repeat("0", 64)}}
		b.Run(p.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Verify(e.Request(header, body, body, now)); !errors.Is(err, verify.WrongSignature) {
					b.Fatal(err)
				}
			}
		})
	}
}

// The cost of a delivery between its last byte and the publisher, by provider: reading the body,
// verifying, the id, the envelope. A provider by settings must not cost more than the others.
func BenchmarkDelivery(b *testing.B) {
	all := providers.All
	for _, preset := range providers.Presets {
		if p, problems := preset.Configure("here", verify.Settings{}); problems == nil {
			all = append(slices.Clip(all), p)
		}
	}
	for _, p := range all {
		e := newEndpoint("here", p, p.Signatures()[0], "right")
		body, err := p.NewBody(p.Events[0], nil, "id")
		expect.NoError(b, err)
		if body, err = p.Renew(body, now); err != nil {
			b.Fatal(err)
		}
		header, err := p.Sign(verify.Signing{Scheme: e.Scheme, Key: secret.New("right"), Event: p.Events[0], ID: "id", Body: body, Time: now})
		expect.NoError(b, err)
		b.Run(p.Name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				text, err := p.Parse(header, body, nil)
				expect.NoError(b, err)
				claims, err := p.Verify(e.Request(header, body, text, now))
				expect.NoError(b, err)
				of := e.Event(e.ID(claims), claims, now)
				publish.NewMessage("webhooks", e.Name, &of)
			}
		})
	}
}
