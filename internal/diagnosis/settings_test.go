package diagnosis

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

func fromBase64(text string) secret.Secret {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return secret.New(string(key))
}

// The report has the one reason for a refusal, and no part of the body, of a secret or of a signature.
func TestSettings(t *testing.T) {
	const text, hidden = `{"type":"a.b","id":"hidden-id"}`, "hidden-secret-0123456789"
	const compared = "unless QUARANTINE=false, such a delivery is in quarantine. Compare X_SIGNED and X_TIMESTAMP_UNIT with the vendor's page; if they are right, somebody has changed a captured one"
	now := time.Unix(1767323045, 0)
	stamp, key := "1767323045", secret.New(hidden)
	mac := func(k secret.Secret, e verify.Encoding, parts ...string) string {
		return e.Encode(k.MAC([]byte(strings.Join(parts, ""))))
	}
	decoded := secret.New("decoded key")
	settings := verify.Settings{
		SignatureHeader: "X-Sig", SignatureFormat: "v1={hex}", Signed: "{header:X-Id}.{timestamp}.{body}", Timestamp: "header:X-Time", TimestampUnit: "s", Event: "body:type",
	}
	right := mac(key, verify.Hex, "id-1.", stamp, ".", text)
	for _, c := range []struct {
		name    string
		secret  string
		change  func(s *verify.Settings)
		header  map[string][]string
		body    string
		problem string
		remedy  string
	}{
		{"right", hidden, nil, map[string][]string{"X-Sig": {"v1=" + right}}, text, "", ""},
		{"another text", hidden, nil, map[string][]string{"X-Sig": {"v1=" + mac(key, verify.Hex, stamp, ".", text)}}, text, "it is signed over {", "set X_SIGNED={timestamp}.{body}"},
		{"the body alone", hidden, nil, map[string][]string{"X-Sig": {"v1=" + mac(key, verify.Hex, text)}}, text, "it is signed over {", "set X_SIGNED={body}"},
		{"another format", hidden, nil, map[string][]string{"X-Sig": {"sha256=" + right}}, text, "has it in another encoding, with other text around it", "set X_SIGNATURE_FORMAT as the header has it, unless something changes the header on the way"},
		{"another encoding", hidden, nil, map[string][]string{"X-Sig": {"v1=" + mac(key, verify.Base64, "id-1.", stamp, ".", text)}}, text, "has it in another encoding, with other text around it", "set X_SIGNATURE_FORMAT as the header has it, unless something changes the header on the way"},
		{"another header", hidden, nil, map[string][]string{"X-Other": {right}}, text, "the signature is in the header X-", "set X_SIGNATURE_HEADER=X-Other, unless a proxy has renamed it"},
		{"several other headers", hidden, nil, map[string][]string{"X-D": {right}, "X-C": {right}, "X-B": {right}, "X-A": {right}}, text, "the signature is in the header X-", "set X_SIGNATURE_HEADER=X-A, unless a proxy has renamed it"},
		{"a secret in base64", base64.StdEncoding.EncodeToString([]byte("decoded key")), nil, map[string][]string{"X-Sig": {"v1=" + mac(decoded, verify.Hex, "id-1.", stamp, ".", text)}}, text, "it is signed with secret 0", "set X_SECRET_ENCODING=base64"},
		{"a secret in hex", fmt.Sprintf("%x", "decoded key"), nil, map[string][]string{"X-Sig": {"v1=" + mac(decoded, verify.Hex, "id-1.", stamp, ".", text)}}, text, "it is signed with secret 0", "set X_SECRET_ENCODING=hex"},
		{"a secret as text", "whsec_" + base64.StdEncoding.EncodeToString([]byte("decoded key")), func(s *verify.Settings) { s.SecretEncoding = "base64" }, map[string][]string{"X-Sig": {"v1=" + mac(secret.New("whsec_"+base64.StdEncoding.EncodeToString([]byte("decoded key"))), verify.Hex, "id-1.", stamp, ".", text)}}, text, "it is signed with secret 0", "set X_SECRET_ENCODING=text"},
		{"a secret in hex, not in base64", "11223344556677889900aabbccddeeff", func(s *verify.Settings) { s.SecretEncoding = "base64" }, map[string][]string{"X-Sig": {"v1=" + mac(secret.New("\x11\x22\x33\x44\x55\x66\x77\x88\x99\x00\xaa\xbb\xcc\xdd\xee\xff"), verify.Hex, "id-1.", stamp, ".", text)}}, text, "it is signed with secret 0", "set X_SECRET_ENCODING=hex"},
		{"a secret in base64, not in hex", hex.EncodeToString([]byte("0123456789ab")), func(s *verify.Settings) { s.SecretEncoding = "hex" }, map[string][]string{"X-Sig": {"v1=" + mac(fromBase64(hex.EncodeToString([]byte("0123456789ab"))), verify.Hex, "id-1.", stamp, ".", text)}}, text, "it is signed with secret 0", "set X_SECRET_ENCODING=base64"},
		{"a secret in base64 twice", base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("decoded key")))), func(s *verify.Settings) { s.SecretEncoding = "base64" }, map[string][]string{"X-Sig": {"v1=" + mac(decoded, verify.Hex, "id-1.", stamp, ".", text)}}, text, "it is signed with secret 0", "if it was encoded on the way, as for the `data` of a Kubernetes Secret, set it unencoded. If the vendor shows it in base64, the bridge has no setting for that: report it"},
		{"a secret with a line end", hidden, nil, map[string][]string{"X-Sig": {"v1=" + mac(secret.New(hidden+"\n"), verify.Hex, "id-1.", stamp, ".", text)}}, text, "with a line break", ""},
		{"milliseconds", hidden, nil, map[string][]string{"X-Time": {stamp + "000"}, "X-Sig": {"v1=" + mac(key, verify.Hex, "id-1.", stamp, "000.", text)}}, text, "and was read as", "set X_TIMESTAMP_UNIT=ms"},
		{"seconds", hidden, func(s *verify.Settings) { s.TimestampUnit = "ms" }, map[string][]string{"X-Sig": {"v1=" + right}}, text, "and was read as", "set X_TIMESTAMP_UNIT=s"},
		{"seconds, not RFC 3339", hidden, func(s *verify.Settings) { s.TimestampUnit = "rfc3339" }, map[string][]string{"X-Sig": {"v1=" + right}}, text, "not in the unit of TIMESTAMP_UNIT", ""},
		{"no time at all", hidden, func(s *verify.Settings) { s.TimestampUnit = "rfc3339" }, map[string][]string{"X-Time": {"soon"}, "X-Sig": {"v1=" + mac(key, verify.Hex, "id-1.soon.", text)}}, text, "not in the unit of TIMESTAMP_UNIT", ""},
		{"no signature", hidden, func(s *verify.Settings) {
			s.SignatureFormat, s.Timestamp, s.Signed = "t={timestamp},v1={hex}", "signature", "{timestamp}.{body}"
		}, nil, text, "there is no X-Sig", ""},
		{"no time in the signature", hidden, func(s *verify.Settings) {
			s.SignatureFormat, s.Timestamp, s.Signed = "t={timestamp},v1={hex}", "signature", "{timestamp}.{body}"
		}, map[string][]string{"X-Sig": {"v1=" + right}}, text, "are missing or there more than once", ""},
		{"two times in the signature", hidden, func(s *verify.Settings) {
			s.SignatureFormat, s.Timestamp, s.Signed = "t={timestamp},v1={hex}", "signature", "{timestamp}.{body}"
		}, map[string][]string{"X-Sig": {"t=" + stamp + ",t=1,v1=" + right}}, text, "X-Sig has no time, or more than one; X_SIGNATURE_FORMAT is t={timestamp},v1={hex}", ""},
		{"an empty signature", hidden, nil, map[string][]string{"X-Sig": {" "}}, text, "X-Sig is empty", ""},
		{"no id", hidden, nil, map[string][]string{"X-Id": nil, "X-Sig": {"v1=" + right}}, text, "are missing or there more than once", ""},
		{"two ids", hidden, nil, map[string][]string{"X-Id": {"id-1", "id-1"}, "X-Sig": {"v1=" + right}}, text, "are missing or there more than once", ""},
		{"an id with a full stop", hidden, nil, map[string][]string{"X-Id": {"id.1"}, "X-Sig": {"v1=" + mac(key, verify.Hex, "id.1.", stamp, ".", text)}}, text, "contradicts", compared},
		{"RFC 3339, not seconds", hidden, nil, map[string][]string{"X-Time": {"2026-01-02T03:04:05.0Z"}, "X-Sig": {"v1=" + mac(key, verify.Hex, "id-1.2026-01-02T03:04:05.0Z.", text)}}, text, "contradicts", compared},
		{"a line end more", hidden, nil, map[string][]string{"X-Sig": {"v1=" + right}}, text + "\n", "what is around its JSON", ""},
		{"written anew", hidden, nil, map[string][]string{"X-Sig": {"v1=" + right}}, strings.ReplaceAll(text, `":`, `" : `), "in JSON.stringify's form", ""},
		{"no body", hidden, nil, map[string][]string{"X-Sig": {"v1=" + right}}, "", "there is no body", ""},
		{"another secret", hidden, nil, map[string][]string{"X-Sig": {"v1=" + mac(decoded, verify.Hex, "id-1.", stamp, ".", text)}}, text, "no secret in X_SECRETS", ""},
		{"another secret, where this one is in base64", "/u3+7f7t/u3+7f7t/u3+7Q==", func(s *verify.Settings) { s.SecretEncoding = "base64" }, map[string][]string{"X-Sig": {"v1=" + right}}, text, "no secret in X_SECRETS", ""},
	} {
		set := settings
		if c.change != nil {
			c.change(&set)
		}
		p, problems := providers.Preset("hmac").Configure("x", set)
		if problems != nil {
			t.Fatal(problems)
		}
		h := map[string][]string{"X-Id": {"id-1"}, "X-Time": {stamp}}
		maps.Copy(h, c.header)
		keys, err := set.Keys([]secret.Secret{secret.New(c.secret)})
		expect.NoError(t, err)
		d := Delivery{Body: []byte(c.body)}
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, value := range h[name] {
				d.Header = append(d.Header, Field{name, value})
			}
		}
		report, err := Diagnose(Case{
			Delivery: d, Received: now, Now: now, MaxBodyBytes: 1 << 20, Quarantine: true,
			Endpoints: []Endpoint{{
				Endpoint:    verify.Endpoint{Name: "x", Provider: p, Secrets: func() []secret.Secret { return keys }, Tolerance: time.Minute},
				SecretsFrom: "X_SECRETS", Prefix: "X_",
			}},
		})
		expect.NoError(t, err)
		var first Cause
		if len(report.Causes) > 0 {
			first = report.Causes[0]
		}
		if report.Accepted != (c.problem == "") || !strings.Contains(first.Problem, c.problem) || c.remedy != "" && first.Remedy != c.remedy {
			t.Errorf("%s: %+v, want %s, %s", c.name, report.Causes, c.problem, c.remedy)
		}
		shown := fmt.Sprint(report)
		for _, secret := range []string{"hidden", right[:16], stamp, c.secret[:8], "id-1"} {
			if strings.Contains(shown, secret) {
				t.Errorf("%s: %q is shown in %s", c.name, secret, shown)
			}
		}
	}
}

// The parts of the signed text are also found by the headers' other names.
func TestOtherNames(t *testing.T) {
	p, problems := providers.Preset("standard-webhooks").Configure("x", verify.Settings{})
	if problems != nil {
		t.Fatal(problems)
	}
	key := secret.New("key")
	signature := "v1," + verify.Base64.Encode(key.MAC([]byte(`1767323045.{"type":"a.b"}`)))
	report, err := Diagnose(Case{
		Delivery: Delivery{
			Header: []Field{{"Svix-Id", "id-1"}, {"Svix-Timestamp", "1767323045"}, {"Svix-Signature", signature}}, Body: []byte(`{"type":"a.b"}`),
		},
		Now: time.Unix(1767323045, 0), MaxBodyBytes: 1 << 20, Quarantine: true,
		Endpoints: []Endpoint{{Endpoint: verify.Endpoint{Name: "x", Provider: p, Secrets: func() []secret.Secret { return []secret.Secret{key} }}}},
	})
	expect.NoError(t, err)
	check(t, "signed without its id", report, "it is signed over {timestamp}.{body}")
}

// The search tries every signature and secret, as the bridge does; the steps show the first ones.
func TestManySignatures(t *testing.T) {
	p, problems := providers.Preset("hmac").Configure("x", verify.Settings{SignatureHeader: "X-Sig", SignatureFormat: "{hex}", Signed: "{body}", Event: "body:type"})
	if problems != nil {
		t.Fatal(problems)
	}
	key, body := secret.New("key"), `{"type":"a.b"}`
	var signatures []string
	for i := range 20 {
		signatures = append(signatures, verify.Hex.Encode(key.MAC([]byte(fmt.Sprint(i)))))
	}
	signatures = append(signatures, verify.Hex.Encode(key.MAC([]byte(body))))
	report, err := Diagnose(Case{
		Delivery: Delivery{Header: []Field{{"X-Other", strings.Join(signatures, ",")}}, Body: []byte(body)}, MaxBodyBytes: 1 << 20,
		Endpoints: []Endpoint{{Endpoint: verify.Endpoint{Name: "x", Provider: p, Secrets: func() []secret.Secret {
			return append(slices.Repeat([]secret.Secret{secret.New("other")}, 20), key)
		}}}},
	})
	expect.NoError(t, err)
	check(t, "the last of 21 signatures", report, "the signature is in the header X-Other")
	shown := fmt.Sprint(report.Steps)
	if !slices.Contains(report.Steps, Step{"signature", "13 more, which are judged too"}) ||
		strings.Contains(shown, "; secret 8 makes") || !strings.Contains(shown, "; 13 more are tried, too") {
		t.Errorf("the steps are %s", shown)
	}
}
