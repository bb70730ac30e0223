package diagnosis

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// diagnoseSigned diagnoses a delivery to the endpoint of that name, which has those secrets. The
// delivery's signature is the MAC of the signed text under the key.
func diagnoseSigned(t *testing.T, endpoint, body, key, signed string, secrets ...string) Report {
	t.Helper()
	p := providers.ByName(endpoint)
	all := endpoints()
	for i := range all {
		if all[i].Name == endpoint {
			var list []secret.Secret
			for _, s := range secrets {
				list = append(list, secret.New(s))
			}
			all[i].Secrets = func() []secret.Secret { return list }
		}
	}
	mac := secret.New(key).MAC([]byte(signed))
	report, err := Diagnose(Case{
		Delivery:  Delivery{Body: []byte(body), Header: []Field{{p.Signature.Header, verify.Hex.Encode(mac)}}},
		Endpoints: all, EndpointName: endpoint, Now: time.Unix(1767323045, 0), MaxBodyBytes: 1 << 20, Quarantine: true,
	})
	expect.NoError(t, err)
	return report
}

// check expects that the first cause is proven, and has that text.
func check(t *testing.T, name string, r Report, problem string) {
	t.Helper()
	if r.Accepted || len(r.Causes) == 0 {
		t.Errorf("%s: got %+v, want a refusal with a cause", name, r)
		return
	}
	if c := r.Causes[0]; !c.Proven || !strings.Contains(c.Problem+"; "+c.Remedy, problem) {
		t.Errorf("%s: the cause is %+v, want %s", name, c, problem)
	}
}

// Texts that are commonly signed by mistake are recognised and named.
func TestSignedTexts(t *testing.T) {
	const data = `{"a":{"id":"1"}}`
	body := func(timestamp, data string) string {
		return `{"name":"a.b","entity":"a","entityId":"1","data":` + data + `,"timestamp":` + timestamp + `}`
	}
	const key, number, text = marked, "1767323045", `"1767323045"`
	usual := body(number, data)
	for _, test := range []struct{ name, body, signed, problem string }{
		{"full stop", usual, number + "." + data, `over the timestamp and the data, with "." between`},
		{"colon", usual, number + ":" + data, `with ":" between`},
		{"line break", usual, number + "\n" + data, `with "\n" between`},
		{"bar", usual, number + "|" + data, `with "|" between`},
		{"blank", usual, number + " " + data, `with " " between`},
		{"reversed", usual, data + number, `over the data and the timestamp, with nothing between`},
		{"reversed, full stop", usual, data + "." + number, `over the data and the timestamp, with "." between`},
		{"milliseconds", usual, number + "000" + data, "over the timestamp in milliseconds and the data"},
		{"milliseconds in the body", body(number+"123", data), number + data, "over the timestamp in seconds and the data"},
		{"text in the body", body(text, data), number + data, "over the timestamp without its quotation marks and the data"},
		{"text that is signed", usual, text + data, "over the timestamp as a text and the data"},
		{"the body", usual, number + "." + usual, `over the timestamp and the body, with "." between`},
		{"the body, reversed", usual, usual + number, `over the body and the timestamp, with nothing between`},
		{"data null", body(number, "null"), number + "null", "can't be verified under scheme timestamp-data; usually a dashboard's test is like that: cause a real event"},
		{"data an array", body(number, "[1]"), number + "[1]", "cause a real event"},
	} {
		check(t, test.name, diagnoseSigned(t, "flock", test.body, key, test.signed, key), test.problem)
	}
	check(t, "empty data", diagnoseSigned(t, "frigade", `{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{}}`, "x", "x", key),
		"can't be verified under scheme data; cause a real event")
	check(t, "empty data, the body signed", diagnoseSigned(t, "frigade", `{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{}}`, key, `{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{}}`, key),
		"set FRIGADE_SIGNATURE=payload")
}

// Texts that are commonly set instead of the secret are recognised and named.
func TestSetInsteadOfSecret(t *testing.T) {
	const key, padded = marked, "c2VjcmV0LXdpdGgtcGFkZGluZw=="
	const body = `{"name":"a.b","entity":"a","entityId":"1","data":{"a":{"id":"1"}},"timestamp":1767323045}`
	for _, test := range []struct{ name, key, problem, secret string }{
		{"a line break after the vendor's", key + "\n", "with a line break or a blank after it", key},
		{"a blank after the vendor's", key + " ", "with a line break or a blank after it", key},
		{"a line break in ours", key, "split at its blanks, commas and line breaks", key + "\n"},
		{"two, a line break between", key, "split at its blanks, commas and line breaks", key + "\nanother-0123456789abcdef"},
		{"two, a blank between", key, "split at its blanks, commas and line breaks", "another-0123456789abcdef " + key},
		{"JSON", key, "taken out of the JSON", `{"secret":"` + key + `","env":"test"}`},
		{"a line of JSON", key, "without a name, quotation marks or JSON", `"secret": "` + key + `",`},
		{"JSON of base64", padded, "taken out of the JSON", `{"secret":"` + padded + `"}`},
		{"a name before base64", padded, "the NAME= around it", "SECRET=" + padded},
		{"YAML", key, "without a name, quotation marks or JSON", "secret: " + key},
		{"base64", key, "decoded from base64", base64.StdEncoding.EncodeToString([]byte(key))},
		{"base64 of a line", key, "decoded from base64", base64.StdEncoding.EncodeToString([]byte(key + "\n"))},
		{"hex", key, "decoded from hex", hex.EncodeToString([]byte(key))},
	} {
		check(t, test.name, diagnoseSigned(t, "flock", body, test.key, body, "another-one-0123456789", test.secret), test.problem)
	}
}

// A log may show the body as a JSON string, with surrogates escaped.
func TestEscapedBody(t *testing.T) {
	const body = `{"name":"a.b","entity":"a","entityId":"1","data":{"a":{"id":"😀"}},"timestamp":1767323045}`
	shown := strings.ReplaceAll(strings.ReplaceAll(body, `"`, `\"`), "😀", `\ud83d\ude00`)
	for _, shown := range []string{shown, `"` + shown + `"`} {
		check(t, shown, diagnoseSigned(t, "flock", shown, marked, body, marked), "once its escapes are undone")
	}
}

// If a second thing is wrong, there is a second cause.
func TestSecondCause(t *testing.T) {
	const body = `{"name":"a.b","entity":"a","data":{"a":{"id":"1"}},"timestamp":1767323045000}`
	r := diagnoseSigned(t, "flock", body, marked, body, `"`+marked+`"`)
	check(t, "quoted", r, "quotation marks")
	if len(r.Causes) != 2 || !strings.Contains(r.Causes[1].Problem, "it would still not be published, 401 future: its time is in milliseconds") {
		t.Errorf("got the causes %+v, want the quotation marks, then the milliseconds", r.Causes)
	}
}

// A delivery that is stale and has another fault has both causes, in the bridge's order. Release is
// not advised, because it would publish neither.
func TestStaleAndMore(t *testing.T) {
	for _, test := range []struct {
		body, outcome string
		causes        [2]string
	}{
		{`{"data":{"a":1},"timestamp":17}`, "stale", [2]string{"its time is off", "not readable"}},
		{`{"name":"a.b","entity":"c","data":{"a":1},"timestamp":17}`, "contradiction", [2]string{"contradicts", "its time is off"}},
	} {
		mac := keys[0].MAC([]byte(`17{"a":1}`))
		now := time.Unix(1767323045, 0)
		r, err := Diagnose(Case{
			Delivery:  Delivery{Body: []byte(test.body), Header: []Field{{"X-Flock-Signature", verify.Hex.Encode(mac)}}},
			Endpoints: endpoints(), EndpointName: "flock", Received: now, Now: now, MaxBodyBytes: 1 << 20, Quarantine: true,
		})
		expect.NoError(t, err)
		if r.Outcome != test.outcome || len(r.Causes) != len(test.causes) {
			t.Errorf("%s: got %+v, want %s with the causes %q", test.body, r, test.outcome, test.causes)
			continue
		}
		for i, c := range r.Causes {
			if !strings.Contains(c.Problem, test.causes[i]) || strings.Contains(c.Remedy, "release` publishes") {
				t.Errorf("%s: cause %d is %+v, want %q, and no advice to release it", test.body, i, c, test.causes[i])
			}
		}
	}
}

// If a delivery is refused for its time, the cause says for which time, and how far it may be off.
func TestTimeCauses(t *testing.T) {
	received := time.Unix(1767323045, 0).UTC()
	at := func(hours time.Duration) string { return received.Add(hours * time.Hour).Format(time.RFC3339) }
	for _, test := range []struct{ time, created, outcome, cause string }{
		{at(-1), at(-25), "stale", "its data.createdAt is older than its receipt by 25h, more than FRIGADE_TOLERANCE"},
		{at(-25), at(-30), "stale", "its time is off by 25h, more than FRIGADE_TOLERANCE"},
		{at(-1), at(-26), "stale", "its data.createdAt is older than its time by 25h, more than FRIGADE_TOLERANCE"},
		{at(-30), at(-1), "stale", "its time is off by 30h, more than FRIGADE_TOLERANCE"},
		{at(1), at(0), "future", "its time is off by 1h, and it may be 5m ahead"},
	} {
		data := `{"createdAt":"` + test.created + `"}`
		r, err := Diagnose(Case{
			Delivery: Delivery{
				Body:   []byte(`{"type":"a.b","time":"` + test.time + `","data":` + data + `}`),
				Header: []Field{{"X-Webhook-Signature", verify.Hex.Encode(keys[0].MAC([]byte(data)))}},
			},
			Endpoints: endpoints(), EndpointName: "frigade", Received: received, Now: received, MaxBodyBytes: 1 << 20, Quarantine: true,
		})
		expect.NoError(t, err)
		if r.Outcome != test.outcome || len(r.Causes) != 1 || r.Causes[0].Problem != test.cause {
			t.Errorf("time %s, created %s: got %s, %+v, want %s, %q", test.time, test.created, r.Outcome, r.Causes, test.outcome, test.cause)
		}
	}
}

// A header that can't be a MAC isn't taken for one: the ids of traces and spans aren't.
func TestHeadersWithoutMACs(t *testing.T) {
	var d Delivery
	for _, value := range []string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", strings.Repeat("ab", 31),
	} {
		d.Header = append(d.Header, Field{"X-Trace", value})
	}
	r, err := Diagnose(Case{Delivery: d, Endpoints: endpoints(), EndpointName: "flock"})
	expect.NoError(t, err)
	for _, step := range r.Steps {
		if step.Name == "signature" {
			t.Errorf("got %s, want no signature", step.Text)
		}
	}
}
