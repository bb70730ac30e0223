package quarantine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Any message can be parsed or is refused. A delivery that was parsed is the same after it was made
// a message and parsed again.
func FuzzParse(f *testing.F) {
	f.Add("5e0c", "flock", "flock", "stale", "2026-01-02T03:04:05.6Z", "0f0f", []byte(`{"name":"a.b","timestamp":1}`))
	f.Add("", "frigade-eu", "frigade", "unreadable", "2026-01-02T03:04:05+01:00", "", []byte(`{"data":{"a":1},"signature":"0f"}`))
	f.Add("x", "a", "b", "c", "10000-01-01T00:00:00Z", "a\r\nWebhook-Reason: b", []byte{})
	f.Fuzz(func(t *testing.T, id, endpoint, provider, reason, received, seal string, body []byte) {
		headers := map[string]string{
			idHeader: id, endpointHeader: endpoint, providerHeader: provider, reasonHeader: reason, receivedHeader: received, sealHeader: seal,
		}
		d, err := Parse(func(name string) string { return headers[name] }, body)
		if err != nil {
			return
		}
		if d.ID == "" || d.Endpoint == "" || d.Provider == "" || d.Reason == "" || d.Seal == "" {
			t.Fatalf("accepted without a header: %+v", d)
		}
		if year := d.Received.UTC().Year(); year < 0 || year > 9999 {
			return // RFC 3339 can't write it
		}
		m := d.Message("webhooks")
		again, err := Parse(header(m), m.Data)
		expect.NoErrorf(t, err, "%+v", d)
		if diff := cmp.Diff(d, again, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
	})
}
