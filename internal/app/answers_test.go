package app

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// flockBody is a body of Flock's with its time set to now, plus members to append.
func flockBody(id, more string) string { return flockBodyAt(time.Now(), id, more) }

func flockBodyAt(t time.Time, id, more string) string {
	return fmt.Sprintf(`{"name":"invitee.accepted","entity":"invitee","entityId":%[1]q,"data":{"invitee":{"id":%[1]q}},"timestamp":%[2]d%[3]s}`, id, t.Unix(), more)
}

func frigadeBody(id, more string) string {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	return fmt.Sprintf(`{"type":"flowResponse.completedStep","time":%[2]q,"data":{"id":%[1]q,"actionType":"COMPLETED_STEP","createdAt":%[2]q}%[3]s}`, id, now, more)
}

// sign returns a header with the signature of the text's canonical form.
func sign(t *testing.T, header, key, text string) string {
	t.Helper()
	canonical, err := stringify.Parse([]byte(text))
	if err != nil {
		canonical = []byte(text) // it isn't JSON, and is signed as it is
	}
	return header + ": " + verify.Hex.Encode(secret.New(key).MAC(canonical))
}

func flockHeader(t *testing.T, body string) string {
	return sign(t, "X-Flock-Signature", flockSecret, body)
}

func frigadeHeader(t *testing.T, body string) string {
	canonical, err := stringify.Parse([]byte(body))
	if err != nil {
		return sign(t, "X-Webhook-Signature", frigadeSecret, body)
	}
	return sign(t, "X-Webhook-Signature", frigadeSecret, string(canonical.Member("data")))
}

// Each row of the contract's table of answers is tested through a real socket. No refused delivery reaches
// the stream.
func TestAnswers(t *testing.T) {
	b := start(t, "MAX_BODY_BYTES=64KiB")
	large := func(n int) string { // a valid body of exactly n bytes
		body := flockBody("large", `,"fill":""`)
		return flockBody("large", `,"fill":"`+strings.Repeat("x", n-len(body))+`"`)
	}
	signedBody := flockBody("signed", "")
	for _, test := range []struct {
		name     string
		endpoint string // flock unless set
		body     string
		headers  []string
		unsigned bool // don't add the correct signature
		status   int
		code     string
	}{
		{name: "stored", body: flockBody("a", ""), status: 200},
		{name: "stored, not canonical", body: strings.ReplaceAll(flockBody("b", ""), ":", " : \n"), status: 200},
		{name: "stored, frigade", endpoint: "frigade", body: frigadeBody("f", ""), status: 200},
		{name: "content type is not judged", body: flockBody("c", ""), headers: []string{"Content-Type: text/plain; charset=latin1"}, status: 200},
		{name: "identity", body: flockBody("d", ""), headers: []string{"Content-Encoding: identity"}, status: 200},
		{name: "largest body", body: large(64 << 10), status: 200},

		{name: "empty body", body: "", status: 400, code: "not_json"},
		{name: "no JSON", body: "hello", status: 400, code: "not_json"},
		{name: "an array", body: "[]", status: 400, code: "not_json"},
		{name: "two objects", body: "{}{}", status: 400, code: "not_json"},
		{name: "byte order mark", body: "\ufeff{}", status: 400, code: "not_json"},
		{name: "not UTF-8", body: "{\"a\":\"\xff\"}", status: 400, code: "not_utf8"},
		{name: "member twice", body: flockBody("e", `,"name":"invitee.accepted"`), status: 400, code: "duplicate_member"},
		{name: "member twice, escaped, deep", body: flockBody("e", `,"x":[{"a":1,"\u0061":2}]`), status: 400, code: "duplicate_member"},
		{name: "512 levels", body: flockBody("deep", `,"x":`+strings.Repeat("[", 511)+strings.Repeat("]", 511)), status: 200},
		{name: "513 levels", body: flockBody("deeper", `,"x":`+strings.Repeat("[", 512)+strings.Repeat("]", 512)), status: 400, code: "too_deep"},
		{name: "frigade without data", endpoint: "frigade", body: `{"type":"a.b","time":"2026-01-02T03:04:05Z"}`, status: 400, code: "data_shape"},
		{name: "frigade with empty data", endpoint: "frigade", body: `{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{}}`, status: 400, code: "data_shape"},

		{name: "no signature", body: flockBody("g", ""), unsigned: true, status: 401, code: "signature"},
		{name: "empty signature", body: flockBody("g", ""), unsigned: true, headers: []string{"X-Flock-Signature:"}, status: 401, code: "signature"},
		{name: "undecodable signature", body: flockBody("g", ""), unsigned: true, headers: []string{"X-Flock-Signature: xyz"}, status: 401, code: "signature"},
		{name: "wrong signature", body: flockBody("g", ""), unsigned: true, headers: []string{"X-Flock-Signature: " + strings.Repeat("0", 64)}, status: 401, code: "signature"},
		{name: "signature of another body", body: flockBody("g", ""), unsigned: true, headers: []string{flockHeader(t, signedBody)}, status: 401, code: "signature"},
		{name: "signature of another provider's secret", body: flockBody("g", ""), unsigned: true, headers: []string{sign(t, "X-Flock-Signature", frigadeSecret, flockBody("g", ""))}, status: 401, code: "signature"},
		{name: "signature in the other provider's header", body: signedBody, unsigned: true, headers: []string{strings.Replace(flockHeader(t, signedBody), "Flock", "Webhook", 1)}, status: 401, code: "signature"},
		{name: "two signatures", body: flockBody("g", ""), headers: []string{"X-Flock-Signature: " + strings.Repeat("0", 64)}, status: 401, code: "signature"},
		{name: "a correct signature, and the same in capitals", body: signedBody, headers: []string{"X-Flock-Signature: " + strings.ToUpper(strings.TrimPrefix(flockHeader(t, signedBody), "X-Flock-Signature: "))}, status: 401, code: "signature"},
		{name: "a correct signature, doubled", body: flockBody("doubled", ""), headers: []string{flockHeader(t, flockBody("doubled", ""))}, status: 200},
		{name: "contradiction", endpoint: "frigade", body: strings.Replace(frigadeBody("g", ""), "completedStep", "startedStep", 1), status: 401, code: "signature"},
		{name: "stale", body: flockBodyAt(time.Now().Add(-6*time.Minute), "g", ""), status: 401, code: "stale"},
		{name: "from the future", body: flockBodyAt(time.Now().Add(6*time.Minute), "g", ""), status: 401, code: "future"},
		{name: "stale and unsigned", body: flockBodyAt(time.Now().Add(-6*time.Minute), "g", ""), unsigned: true, status: 401, code: "signature"},

		{name: "unknown endpoint", endpoint: "nobody", body: signedBody, status: 404, code: "not_found"},
		{name: "body past the limit", body: large(64<<10 + 1), status: 413, code: "body_too_large"},
		{name: "compressed", body: "\x1f\x8b\x08\x00", headers: []string{"Content-Encoding: gzip"}, status: 415, code: "content_encoding"},
		{name: "compressed twice", body: "(\xb5/\xfd", headers: []string{"Content-Encoding: identity", "Content-Encoding: zstd"}, status: 415, code: "content_encoding"},
		{name: "no JSON, and not encoded", body: "hello", headers: []string{"Content-Encoding: identity"}, status: 400, code: "not_json"},
		{name: "a charset as Content-Encoding", body: flockBody("charset", ""), headers: []string{"Content-Encoding: UTF-8"}, status: 200},
		{name: "JSON, though its Content-Encoding is gzip", body: flockBody("gzip", ""), headers: []string{"Content-Encoding: gzip"}, status: 200},
		{name: "an array, with a charset as Content-Encoding", body: "[]", headers: []string{"Content-Encoding: UTF-8"}, status: 400, code: "not_json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := b.stored()
			headers := test.headers
			if !test.unsigned {
				if test.endpoint == "frigade" {
					headers = append(headers, frigadeHeader(t, test.body))
				} else {
					headers = append(headers, flockHeader(t, test.body))
				}
			}
			endpoint := test.endpoint
			if endpoint == "" {
				endpoint = "flock"
			}
			a := b.post(endpoint, test.body, headers...)
			if a.StatusCode != test.status || a.code != test.code {
				t.Errorf("answered %d %s, want %d %s", a.StatusCode, a.body, test.status, test.code)
			}
			want := before
			if test.status == http.StatusOK {
				want++
				if a.result != "stored" || len(a.id) != 32 {
					t.Errorf("answered %s", a.body)
				}
			}
			expect.Equal(t, want, b.stored(), "events stored")
		})
	}
}

// All signature failures have the same answer.
func TestSignatureFailuresLookTheSame(t *testing.T) {
	b := start(t)
	body := flockBody("a", "")
	contradicting := strings.Replace(frigadeBody("g", ""), "completedStep", "startedStep", 1)
	answers := map[string]bool{}
	for _, a := range []answer{
		b.post("flock", body),
		b.post("flock", body, "X-Flock-Signature: x"),
		b.post("flock", body, "X-Flock-Signature: "+strings.Repeat("0", 64)),
		b.post("flock", body, flockHeader(t, body), flockHeader(t, body)+"0"),
		b.post("frigade", contradicting, frigadeHeader(t, contradicting)),
	} {
		a.Header.Del("Date")
		answers[fmt.Sprint(a.StatusCode, a.Header, a.body)] = true
	}
	if len(answers) != 1 {
		t.Errorf("they differ: %v", answers)
	}
	for _, outcome := range []string{"signature_missing", "signature_malformed", "signature_wrong", "signature_many", "contradiction"} {
		b.await("logged", func() bool { return strings.Contains(b.log.String(), `"outcome":"`+outcome+`"`) })
	}
}

// Any path other than an endpoint's is not found, even if cleaning it would give one, and isn't redirected.
// A path that is nearly an endpoint's is counted, and logged with the right one.
func TestPathsAndMethods(t *testing.T) {
	b := start(t)
	for _, target := range []string{
		"/", "/webhooks", "/webhooks/", "/webhooks/flock;x", "/webhooks/floc", "/metrics", "/livez", "/readyz", "/debug/pprof/", "*",

		"/webhooks/flock//", "//webhooks/flock", "/webhooks//flock", "/webhooks/../webhooks/flock", "/./webhooks/flock", "/flock", "/api/webhooks/flock",
		"/webhooks/%66lock", "/webhooks/FLOCK", "/webhooks/flock%2f", "/webhooks/flock%20",
	} {
		for _, method := range []string{"POST", "GET", "OPTIONS"} {
			if target == "*" && method != "OPTIONS" {
				continue
			}
			c := b.dial()
			c.write(method + " " + target + " HTTP/1.1\r\nHost: bridge\r\nContent-Length: 0\r\n\r\n")
			if a := c.read(method); a.StatusCode != http.StatusNotFound || a.Header.Get("Location") != "" {
				t.Errorf("%s %s is answered %s, want 404 without a Location", method, target, a.Status)
			}
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post"} {
		c := b.dial()
		c.write(method + " /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 0\r\n\r\n")
		if a := c.read(method); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
			t.Errorf("%s: %s, Allow %q", method, a.Status, a.Header.Get("Allow"))
		}
	}
	b.awaitMetric(`webhook_bridge_deliveries_total{endpoint="flock",outcome="wrong_path"} 33`)
	expect.Equal(t, "28", b.metric(`webhook_bridge_deliveries_total{endpoint="",outcome="not_found"}`), "deliveries counted as not_found")
	for _, want := range []string{"delivery refused for its path: register the address", "the endpoint is at /webhooks/flock\""} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
	for _, target := range []string{"/webhooks/flock?x=1", "http://elsewhere/webhooks/flock", "/webhooks/flock/", "/webhooks/flock/?x=1"} {
		body := flockBody(target, "")
		c := b.dial()
		c.write(strings.Replace(request("flock", body, flockHeader(t, body)), "/webhooks/flock", target, 1))
		if a := c.read("POST"); a.StatusCode != http.StatusOK {
			t.Errorf("%s is answered %s, want 200", target, a.Status)
		}
	}
}

func TestDuplicate(t *testing.T) {
	b := start(t)
	body := frigadeBody("again", "")
	first := b.post("frigade", body, frigadeHeader(t, body))
	// A delivery of Frigade's with another time, which is unsigned, or another encoding of the
	// signature is the same event.
	renewed := strings.Replace(body, `Z","data"`, `1Z", "data"`, 1)
	canonical, err := stringify.Parse([]byte(body))
	expect.NoError(t, err)
	mac := secret.New(frigadeSecret).MAC(canonical.Member("data"))
	second := b.post("frigade", renewed, "X-Webhook-Signature: "+base64.RawURLEncoding.EncodeToString(mac[:]))
	if first.result != "stored" || second.result != "duplicate" || first.id != second.id {
		t.Errorf("first %s, second %s", first.body, second.body)
	}
	expect.Equal(t, 1, b.stored(), "events stored")
}

// A body within its limit can make a message that is too large.
func TestMessageTooLarge(t *testing.T) {
	b := start(t, "MAX_BODY_BYTES=16MiB", "MAX_IN_FLIGHT_BYTES=128MiB")
	body := flockBody("large", `,"fill":[`+strings.Repeat("1e20,", 3<<20/5)+`0]`) // 21 digits each: four times as long
	expect.Equal(t, "413 message_too_large", b.post("flock", body, flockHeader(t, body)).String(), "the answer")
	expect.Equal(t, 0, b.stored(), "events stored")
}
