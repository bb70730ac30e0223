package verify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Seal returns what is kept of an authentic delivery in place of its signature. It is an HMAC under
// the secret that verified it, so only who has that secret can make or check it; and it covers the
// endpoint, the scheme, the body and the text that was signed. It begins with a byte that no vendor's
// signed text begins with, so no seal is a signature: who reads the quarantine can't send a delivery
// again. A signature in the body, which it doesn't cover itself, is therefore overwritten.
func (e *Endpoint) Seal(c Claims, key secret.Secret, body []byte) string {
	if s, ok := e.Provider.Scheme(c.Scheme); ok && len(s.Members) > 0 {
		blank(body, e.Provider.Member)
	}
	sum := e.seal(key, c.Scheme, body, c.SignedText)
	return hex.EncodeToString(sum[:])
}

func (e *Endpoint) seal(key secret.Secret, scheme string, body []byte, signed [][]byte) [sha256.Size]byte {
	whole, part := sha256.Sum256(body), sha256.New()
	for _, p := range signed {
		part.Write(p)
	}
	return key.MAC([]byte("\x00webhook-bridge quarantine\x00"+e.Name+"\x00"+scheme+"\x00"), whole[:], part.Sum(nil))
}

// Sealed is what the provider is asked about a delivery that was sealed: the seal takes the place of
// the signature. Headers are those that the provider had kept. Its time was that of receiving it.
func (e *Endpoint) Sealed(seal string, headers http.Header, body []byte, text stringify.Text, received time.Time) Request {
	// Any signature that can be decoded: the seal is what is looked at.
	header := http.Header{e.Provider.Header: {e.Provider.Encodings[0].Encode(make([]byte, sha256.Size))}}
	if e.Provider.Keep != nil {
		header = e.Provider.Keep(headers)
	}
	r := e.Request(header, body, text, received)
	want, err := hex.DecodeString(seal)
	r.Seal = func(key secret.Secret, scheme string, signed [][]byte) bool {
		sum := e.seal(key, scheme, body, signed)
		return err == nil && hmac.Equal(sum[:], want)
	}
	return r
}

// blank overwrites the text of a member of the body, which is a JSON object.
func blank(body []byte, member string) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if _, err := decoder.Token(); err != nil || member == "" {
		return
	}
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return
		}
		if name == member && len(value) > 2 && value[0] == '"' {
			end := int(decoder.InputOffset()) - 1
			for i := end - len(value) + 2; i < end; i++ {
				body[i] = '*'
			}
			return
		}
	}
}
