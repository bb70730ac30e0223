package providers_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/internal/verify/frigade"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// signedText is what a scheme signs of a body; nil where the body has no such thing.
func signedText(scheme string, body stringify.Text) []byte {
	switch scheme {
	case verify.Payload:
		return body
	case flock.TimestampData:
		if timestamp, data := body.Member("timestamp"), body.Member("data"); timestamp != nil && data.IsObject() {
			return append(bytes.Clone(timestamp), data...)
		}
	case frigade.Data:
		if data := body.Member("data"); data.IsObject() && len(data) > 2 {
			return data
		}
	}
	return nil
}

// Whatever body is sent with the signature of another one: it is authentic only where both have the
// same signed text, under a scheme that the endpoint allows. Accepted ⊆ signed.
func FuzzVerify(f *testing.F) {
	for i, p := range providers.All {
		for _, v := range vectors(f, p) {
			if len(v.Body) < 1000 {
				for j := range p.Signatures() {
					f.Add(i, j, []byte(v.Body), []byte(v.Body), v.Now.Unix())
					f.Add(i, j, []byte(v.Body), []byte(strings.Replace(v.Body, "i1", "i2", 1)), v.Now.Unix())
				}
			}
		}
	}
	key := secret.New("key")
	f.Fuzz(func(t *testing.T, provider, scheme int, signed, sent []byte, now int64) {
		p := providers.All[uint(provider)%uint(len(providers.All))]
		set := p.Signatures()[uint(scheme)%uint(len(p.Signatures()))]
		signedBody, err := stringify.Parse(signed)
		if err != nil || !signedBody.IsObject() {
			return
		}
		sentBody, err := stringify.Parse(sent)
		if err != nil || !sentBody.IsObject() {
			return
		}
		for _, by := range []string{verify.Payload, flock.TimestampData, frigade.Data} {
			text := signedText(by, signedBody)
			if text == nil {
				continue
			}
			c, err := p.Verify(verify.Request{
				Header: http.Header{p.Header: {p.Encodings[0].Encode(verify.Sum(key, text))}}, Raw: sent, Body: sentBody, Secrets: []secret.Secret{key}, Scheme: set,
				Freshness: verify.FreshnessSigned, Tolerance: p.Tolerance, Now: time.Unix(now%1e11, 0),
			})
			if err != nil && !verify.IsAuthentic(err) {
				if c.SignedText != nil {
					t.Fatalf("%v, but %+v", err, c)
				}
				// And what is signed so, by a scheme that is set, is authentic.
				if set == by && bytes.Equal(signedText(by, sentBody), text) && (by != flock.TimestampData || text[0] != '{') && !(by == verify.Payload && p.Name == frigade.Provider.Name && signedText(frigade.Data, sentBody) == nil) {
					t.Fatalf("%s: %v for what is signed by %s: %s", p.Name, err, by, sentBody)
				}
				continue
			}
			if set != c.Scheme && set != verify.Auto {
				t.Fatalf("verified by %s where %s is set", c.Scheme, set)
			}
			if got := bytes.Join(c.SignedText, nil); !bytes.Equal(got, text) || !bytes.Equal(got, signedText(c.Scheme, sentBody)) {
				t.Fatalf("%s %s: %s was signed, %s was accepted", p.Name, set, text, got)
			}
			if err == nil && (c.Name == "" || c.Time == "") {
				t.Fatalf("accepted without name or time: %+v", c)
			}
		}
	})
}

// A signature's text is decoded to 32 bytes or to nothing, and to those bytes in no other encoding
// than the ones allowed.
func FuzzSignature(f *testing.F) {
	for _, p := range providers.All {
		for _, v := range vectors(f, p) {
			for _, h := range v.Headers {
				f.Add(h[1])
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if mac, ok := verify.Decode(text, []verify.Encoding{verify.Hex}); ok && hex.EncodeToString(mac[:]) != strings.ToLower(text) {
			t.Fatalf("in hex %q is %x", text, mac)
		}
		decoded, ok := verify.Decode(text, []verify.Encoding{verify.Hex, verify.Base64})
		if !ok {
			return
		}
		mac := decoded[:]
		for _, spelling := range []string{
			strings.ToLower(text), // hex
			text,
		} {
			if slices.Contains([]string{
				hex.EncodeToString(mac), base64.StdEncoding.EncodeToString(mac), base64.RawStdEncoding.EncodeToString(mac),
				base64.URLEncoding.EncodeToString(mac), base64.RawURLEncoding.EncodeToString(mac),
			}, spelling) {
				return
			}
		}
		t.Fatalf("%q is decoded to %x, which nobody would write so", text, mac)
	})
}
