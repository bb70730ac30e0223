package quarantine

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// Whatever a message in the quarantine's stream says, reading it ends; what is read is read again from the message
// that is made of it; and it is authentic just when it was before: neither of the two makes a signature.
func FuzzParse(f *testing.F) {
	f.Add("5e0c", "flock", "flock", "stale", "2026-01-02T03:04:05.6Z", "0f0f", []byte(`{"name":"a.b","timestamp":1}`))
	f.Add("", "frigade-eu", "frigade", "unreadable", "2026-01-02T03:04:05+01:00", "", []byte(`{"data":{"a":1},"signature":"0f"}`))
	f.Add("x", "a", "b", "c", "10000-01-01T00:00:00Z", "a\r\nWebhook-Reason: b", []byte{})
	key := secret.New("key")
	f.Fuzz(func(t *testing.T, id, endpoint, provider, reason, received, signature string, body []byte) {
		headers := map[string]string{
			idHeader:       id,
			endpointHeader: endpoint, providerHeader: provider, reasonHeader: reason, receivedHeader: received, signatureHeader: signature,
		}
		d, err := Parse(func(name string) string { return headers[name] }, body)
		if err != nil {
			return
		}
		if d.ID == "" || d.Endpoint == "" || d.Provider == "" || d.Reason == "" {
			t.Fatalf("accepted without a header: %+v", d)
		}
		m := d.Message("webhooks")
		again, err := Parse(header(m), m.Data)
		if year := d.Received.UTC().Year(); year < 0 || year > 9999 {
			return // RFC 3339 can't write it
		}
		if err != nil {
			t.Fatalf("%+v: %v", d, err)
		}
		want := d
		if !isPrintable(want.Signature) {
			want.Signature = ""
		}
		if diff := cmp.Diff(want, again, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
		p := providers.ByName(d.Provider)
		text, err := stringify.Parse(d.Body)
		if p == nil || err != nil || !text.IsObject() {
			return
		}
		judge := func(d Delivery) bool {
			_, err := p.Verify(verify.Request{
				Header: http.Header{p.Header: {d.Signature}}, Raw: d.Body, Body: text, Secrets: []secret.Secret{key}, Scheme: p.Schemes[0].Name, Tolerance: p.Tolerance, Now: d.Received, Untimed: true,
			})
			return err == nil || verify.IsAuthentic(err)
		}
		if judge(d) != judge(again) {
			t.Fatalf("authentic %v, and read again %v: %+v", judge(d), judge(again), d)
		}
	})
}
