package diagnosis

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

const marked = "hush-0123456789abcdef"

var keys = []secret.Secret{secret.New("another-0123456789abcdef"), secret.New(marked)}

func endpoints() (all []Endpoint) {
	for _, p := range providers.All {
		e := Endpoint{
			Endpoint: verify.Endpoint{Name: p.Name, Provider: p, Secrets: func() []secret.Secret { return keys }, Scheme: p.Signatures()[0], Tolerance: p.Time.Tolerance},
			Prefix:   p.Variable(""),
		}
		if words := p.Time.Freshness(); len(words) > 0 {
			e.Freshness = words[0]
		}
		e.SecretsFrom = e.Prefix + "SECRETS"
		all = append(all, e)
	}
	stripe, _ := providers.Preset("stripe").Configure("stripe", verify.Settings{})
	return append(all, Endpoint{
		Endpoint: verify.Endpoint{Name: "stripe", Provider: stripe, Secrets: func() []secret.Secret { return keys }, Tolerance: stripe.Time.Tolerance},
		Prefix:   "ENDPOINTS_0_", SecretsFrom: "ENDPOINTS_0_SECRETS",
	})
}

// Any capture is diagnosed, the report contains no secret and no whole MAC, and every refusal has a
// cause.
func FuzzDiagnose(f *testing.F) {
	const flock = `{"name":"a.b","entity":"a","entityId":"1","data":{"a":{"id":"1"}},"timestamp":1767323045}`
	const frigade = `{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{"id":"1"}}`
	for _, path := range []string{"/webhooks/flock", "/webhooks/frigade", "/webhooks/stripe", "/", "%"} {
		f.Add("POST", path, "", []byte(flock), true, int64(1767323050))
		f.Add("GET", path, "sha256=0f", []byte(frigade), true, int64(0))
		f.Add("", path, `"00112233445566778899"`, []byte(`{\x22a\x22:1}`), false, int64(1))
	}
	f.Fuzz(func(t *testing.T, method, path, signature string, sent []byte, sign bool, received int64) {
		if sign {
			signature = verify.Hex.Encode(keys[1].MAC(sent))
		}
		d := Delivery{Method: method, Target: path, Body: sent, Header: []Field{{Name: "X-Flock-Signature", Value: signature}, {Name: "X-Webhook-Signature", Value: signature}, {Name: "Stripe-Signature", Value: "t=1767323045,v1=" + signature}}}
		c := Case{Delivery: d, Endpoints: endpoints(), Now: time.Unix(1767323045, 0), MaxBodyBytes: 1 << 20, Quarantine: true}
		if received != 0 {
			c.Received = time.Unix(received%1e10, 0)
		}
		report, err := Diagnose(c)
		if err != nil {
			return
		}
		text, err := json.Marshal(report)
		expect.NoError(t, err)
		if strings.Contains(string(text), marked) && !strings.Contains(string(sent)+path+signature+method, marked) {
			t.Fatalf("a secret is in %s", text)
		}
		for _, k := range keys {
			if mac := verify.Hex.Encode(k.MAC(sent)); strings.Contains(string(text), mac) {
				t.Fatalf("a MAC is in %s", text)
			}
		}
		if !report.Accepted && len(report.Causes) == 0 {
			t.Fatalf("refused without a cause: %s", text)
		}
		for _, cause := range report.Causes {
			if cause.Problem == "" || cause.Remedy == "" {
				t.Fatalf("half a cause: %+v", cause)
			}
		}
	})
}
