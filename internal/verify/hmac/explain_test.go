package hmac

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Of a delivery that is refused for one reason, that reason is found, and nothing of the text, of a
// secret or of a signature is shown.
func TestExplain(t *testing.T) {
	const text, hidden = `{"type":"a.b","id":"hidden-id"}`, "hidden-secret-0123456789"
	now := time.Unix(1767323045, 0)
	stamp, key := "1767323045", secret.New(hidden)
	mac := func(k secret.Secret, e verify.Encoding, parts ...string) string {
		return e.Encode(verify.Sum(k, []byte(strings.Join(parts, ""))))
	}
	decoded := secret.New("decoded key")
	settings := verify.Settings{
		SignatureHeader: "X-Sig", SignatureFormat: "v1={hex}", Signed: "{header:X-Id}.{timestamp}.{body}", Timestamp: "header:X-Time", TimestampUnit: "s", Event: "body:type",
	}
	right := mac(key, verify.Hex, "id-1.", stamp, ".", text)
	for _, c := range []struct {
		name   string
		secret string
		change func(s *verify.Settings)
		header http.Header
		body   string
		code   string
		do     string
	}{
		{"right", hidden, nil, http.Header{"X-Sig": {"v1=" + right}}, text, "", ""},
		{"another text", hidden, nil, http.Header{"X-Sig": {"v1=" + mac(key, verify.Hex, stamp, ".", text)}}, text, "signed", "set SIGNED={timestamp}.{body}"},
		{"the body alone", hidden, nil, http.Header{"X-Sig": {"v1=" + mac(key, verify.Hex, text)}}, text, "signed", "set SIGNED={body}"},
		{"another format", hidden, nil, http.Header{"X-Sig": {"sha256=" + right}}, text, "signature_format", "set SIGNATURE_FORMAT as the header has it"},
		{"another encoding", hidden, nil, http.Header{"X-Sig": {"v1=" + mac(key, verify.Base64, "id-1.", stamp, ".", text)}}, text, "signature_format", "set SIGNATURE_FORMAT as the header has it"},
		{"another header", hidden, nil, http.Header{"X-Other": {right}}, text, "signature_elsewhere", "set SIGNATURE_HEADER=X-Other, unless a proxy has renamed it"},
		{"a secret in base64", base64.StdEncoding.EncodeToString([]byte("decoded key")), nil, http.Header{"X-Sig": {"v1=" + mac(decoded, verify.Hex, "id-1.", stamp, ".", text)}}, text, "secret_encoding", "set SECRET_ENCODING=base64"},
		{"a secret in hex", fmt.Sprintf("%x", "decoded key"), nil, http.Header{"X-Sig": {"v1=" + mac(decoded, verify.Hex, "id-1.", stamp, ".", text)}}, text, "secret_encoding", "set SECRET_ENCODING=hex"},
		{"a secret as text", "whsec_" + base64.StdEncoding.EncodeToString([]byte("decoded key")), func(s *verify.Settings) { s.SecretEncoding = "base64" }, http.Header{"X-Sig": {"v1=" + mac(secret.New("whsec_"+base64.StdEncoding.EncodeToString([]byte("decoded key"))), verify.Hex, "id-1.", stamp, ".", text)}}, text, "secret_encoding", "set SECRET_ENCODING=text"},
		{"a secret with a line end", hidden, nil, http.Header{"X-Sig": {"v1=" + mac(secret.New(hidden+"\n"), verify.Hex, "id-1.", stamp, ".", text)}}, text, "secret_line_end", ""},
		{"milliseconds", hidden, nil, http.Header{"X-Time": {stamp + "000"}, "X-Sig": {"v1=" + mac(key, verify.Hex, "id-1.", stamp, "000.", text)}}, text, "timestamp_unit", "set TIMESTAMP_UNIT=ms"},
		{"seconds", hidden, func(s *verify.Settings) { s.TimestampUnit = "ms" }, http.Header{"X-Sig": {"v1=" + right}}, text, "timestamp_unit", "set TIMESTAMP_UNIT=s"},
		{"no id", hidden, nil, http.Header{"X-Id": nil, "X-Sig": {"v1=" + right}}, text, "signed_part", ""},
		{"two ids", hidden, nil, http.Header{"X-Id": {"id-1", "id-1"}, "X-Sig": {"v1=" + right}}, text, "signed_part", ""},
		{"an id with a full stop", hidden, nil, http.Header{"X-Id": {"id.1"}, "X-Sig": {"v1=" + mac(key, verify.Hex, "id.1.", stamp, ".", text)}}, text, "signed_part", ""},
		{"a line end more", hidden, nil, http.Header{"X-Sig": {"v1=" + right}}, text + "\n", "body", ""},
		{"a line end less", hidden, nil, http.Header{"X-Sig": {"v1=" + mac(key, verify.Hex, "id-1.", stamp, ".", text, "\n")}}, text, "body", ""},
		{"written anew", hidden, nil, http.Header{"X-Sig": {"v1=" + right}}, strings.ReplaceAll(text, `":`, `" : `), "body", ""},
		{"another secret", hidden, nil, http.Header{"X-Sig": {"v1=" + mac(decoded, verify.Hex, "id-1.", stamp, ".", text)}}, text, "", ""},
	} {
		set := settings
		if c.change != nil {
			c.change(&set)
		}
		p := named(t, custom, set)
		h := http.Header{"X-Id": {"id-1"}, "X-Time": {stamp}}
		for name, values := range c.header {
			if h[name] = values; values == nil {
				delete(h, name)
			}
		}
		keys, err := p.Keys([]secret.Secret{secret.New(c.secret)})
		if err != nil {
			t.Fatal(err)
		}
		steps, causes := p.Explain(verify.Request{Header: h, Raw: []byte(c.body), Body: compact([]byte(c.body)), Secrets: keys, Now: now, Tolerance: time.Minute})
		if c.code == "" && len(causes) > 0 || c.code != "" && !slices.ContainsFunc(causes, func(f verify.Finding) bool { return f.Code == c.code && (c.do == "" || f.Do == c.do) }) {
			t.Errorf("%s: %+v, want %s, %s", c.name, causes, c.code, c.do)
		}
		shown := fmt.Sprint(steps, causes)
		for _, secret := range []string{"hidden", right[:16], stamp, c.secret[:8], "id-1"} {
			if strings.Contains(shown, secret) {
				t.Errorf("%s: %q is shown in %s", c.name, secret, shown)
			}
		}
	}
}
