package providers_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
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

// signedText returns the text that a scheme signs of a body whose members get returns; nil if it
// can't be signed.
func signedText(scheme string, whole []byte, get func(name string) []byte) []byte {
	if scheme == verify.Payload {
		return whole
	}
	data := get("data")
	if !bytes.HasPrefix(data, []byte{'{'}) {
		return nil
	}
	switch timestamp := get("timestamp"); {
	case scheme == frigade.Data:
		return data
	case scheme == flock.TimestampData && timestamp != nil && timestamp[0] != '{':
		return append(bytes.Clone(timestamp), data...)
	}
	return nil
}

// signedTexts returns the texts that a scheme signs of a body: in canonical form, and as it is.
func signedTexts(scheme string, raw []byte, body stringify.Text) (texts [][]byte) {
	for _, text := range [][]byte{
		signedText(scheme, body, func(name string) []byte { return body.Member(name) }),
		signedText(scheme, raw, func(name string) []byte {
			var members map[string]json.RawMessage
			_ = json.Unmarshal(raw, &members) // it has a canonical form
			return members[name]
		}),
	} {
		if text != nil {
			texts = append(texts, text)
		}
	}
	return texts
}

// A body that is sent with the signature of another one is authentic only if both have the same
// signed text, under a scheme that the endpoint allows. Accepted ⊆ signed.
func FuzzVerify(f *testing.F) {
	for i, p := range providers.All {
		for _, v := range read(f, p) {
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
		for _, by := range p.SchemeNames() {
			for _, text := range signedTexts(by, signed, signedBody) {
				c, err := p.Verify(verify.Request{
					Header: http.Header{p.Signature.Header: {p.Signature.Format.Encodings[0].Encode(key.MAC(text))}}, Raw: sent, Body: sentBody, Secrets: []secret.Secret{key}, Scheme: set,
					Freshness: verify.FreshnessSigned, Tolerance: p.Time.Tolerance, Now: time.Unix(now%1e11, 0),
				})
				holds := func(scheme string) bool {
					return slices.ContainsFunc(signedTexts(scheme, sent, sentBody), func(sent []byte) bool { return bytes.Equal(sent, text) })
				}
				if err != nil && !verify.IsAuthentic(err) {
					if c.SignedText != nil {
						t.Fatalf("%v, but %+v", err, c)
					}
					// And a body that is signed by a configured scheme is authentic.
					if set == by && holds(by) && !errors.Is(err, verify.UnsignableDataShape) {
						t.Fatalf("%s: %v for what is signed by %s: %s", p.Name, err, by, sent)
					}
					continue
				}
				if set != c.Scheme && set != verify.Auto {
					t.Fatalf("verified by %s where %s is set", c.Scheme, set)
				}
				if got := bytes.Join(c.SignedText, nil); !bytes.Equal(got, text) || !holds(c.Scheme) {
					t.Fatalf("%s %s: %s was signed, %s was accepted", p.Name, set, text, got)
				}
				if again, err := stringify.Parse(c.Body); err != nil || !bytes.Equal(again, sentBody) {
					t.Fatalf("the envelope would have %s of %s", c.Body, sent)
				}
				if err == nil && (c.Name == "" || c.Time == "") {
					t.Fatalf("accepted without name or time: %+v", c)
				}
			}
		}
	})
}

// A signature's text is decoded to 32 bytes or not at all, and only by an allowed encoding.
func FuzzSignature(f *testing.F) {
	for _, p := range providers.All {
		for _, v := range read(f, p) {
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
