package verify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Sum returns the HMAC-SHA256 of the concatenated parts under the secret.
func Sum(key secret.Secret, parts ...[]byte) []byte {
	sum := key.MAC(parts...)
	return sum[:]
}

// MAC is a decoded HMAC-SHA256.
type MAC [sha256.Size]byte

// Encoding is a way to write a MAC.
type Encoding string

// The encodings that vendors use.
const (
	Hex    Encoding = "hex"
	Base64 Encoding = "base64" // standard or URL alphabet, padded or not
)

// Encode returns the text of a MAC. Base64 uses the standard alphabet with padding.
func (e Encoding) Encode(mac []byte) string {
	if e == Base64 {
		return base64.StdEncoding.EncodeToString(mac)
	}
	return hex.EncodeToString(mac)
}

// Alphabet returns the base64 alphabet of a text without padding.
func Alphabet(text string) *base64.Encoding {
	if strings.ContainsAny(text, "-_") {
		return base64.RawURLEncoding
	}
	return base64.RawStdEncoding
}

// Decode reads a MAC. The length of the text tells which of the encodings it has.
func Decode(text string, encodings []Encoding) (mac MAC, ok bool) {
	const unpadded = 43 // base64 characters of 32 bytes
	if len(text) == hex.EncodedLen(len(mac)) && slices.Contains(encodings, Hex) {
		_, err := hex.Decode(mac[:], []byte(text))
		return mac, err == nil
	}
	if len(text) == unpadded+1 {
		text = strings.TrimSuffix(text, "=")
	}
	if len(text) != unpadded || !slices.Contains(encodings, Base64) {
		return mac, false
	}
	// encoding/base64 skips line breaks, and then returns fewer bytes than a MAC has.
	n, err := Alphabet(text).Strict().Decode(mac[:], []byte(text))
	return mac, err == nil && n == len(mac)
}

// HeaderValue returns the value of the header with the signature; "" if there is none. It refuses
// headers that differ, because it can't know which one counts. Equal ones count as one: some
// proxies double headers.
func HeaderValue(h http.Header, name string) (string, error) {
	values := h[name]
	switch {
	case len(values) == 0:
		return "", nil
	case slices.ContainsFunc(values, func(v string) bool { return v != values[0] }):
		return "", ManySignatures
	}
	return values[0], nil
}

// MACs returns the MACs in the header and in a member of the body; either may be the right one.
func MACs(encodings []Encoding, h http.Header, name, member string) (macs []MAC, err error) {
	value, err := HeaderValue(h, name)
	switch {
	case err != nil:
		return nil, err
	case value == "" && member == "":
		return nil, NoSignature
	}
	for _, text := range []string{value, member} {
		if mac, ok := Decode(text, encodings); ok {
			macs = append(macs, mac)
		}
	}
	if macs == nil {
		return nil, MalformedSignature
	}
	return macs, nil
}

// Authenticate looks for a scheme whose signed text one of the MACs covers. It tries the canonical
// body first, and then the body as it came, because senders in other languages than JavaScript sign
// the bytes that they send (ADR 2). A correct signature by a scheme that the endpoint doesn't allow
// is refused too, but with its own error, because only the setting is wrong.
func (r *Request) Authenticate(macs []MAC, schemes []Scheme) (Claims, error) {
	c, err := r.authenticate(macs, schemes, r.Body)
	if err == nil {
		c.Body = r.Body
		return c, nil
	}
	if !errors.Is(err, WrongSignature) || bytes.Equal(r.Raw, r.Body) {
		return Claims{}, err
	}
	c, err = r.authenticate(macs, schemes, r.Raw)
	if err != nil {
		return c, err
	}
	checked, err := stringify.CheckAsSent(r.Raw)
	if err != nil { // impossible: it has a canonical form
		return Claims{}, WrongSignature
	}
	c.Body, c.AsSent = checked.Text(), true
	return c, nil
}

func (r *Request) authenticate(macs []MAC, schemes []Scheme, body []byte) (Claims, error) {
	for _, s := range schemes {
		parts := s.Signed(body)
		if parts == nil {
			continue
		}
		position, ok := r.Signer(macs, s.Name, parts)
		switch {
		case !ok:
		case r.Scheme != s.Name && r.Scheme != Auto:
			return Claims{}, fmt.Errorf("%w: it covers %s", OtherScheme, s.Name)
		default:
			return Claims{Scheme: s.Name, Secret: position, SignedText: parts, IDText: parts}, nil
		}
	}
	return Claims{}, WrongSignature
}

// Parts returns the parts of the text that the scheme signs, whatever their values are. A missing
// member is nil.
func (s *Scheme) Parts(body stringify.Text) [][]byte {
	if len(s.Members) == 0 {
		return [][]byte{body}
	}
	parts := make([][]byte, len(s.Members))
	c := stringify.Cursor{Text: body}
	c.Object(func(name []byte) {
		if i := slices.IndexFunc(s.Members, func(m string) bool { return stringify.Is(name, m) }); i >= 0 {
			parts[i] = c.Value()
		}
	})
	return parts
}

// Signed returns the parts of the text that the scheme signs; nil if the body can't have been
// signed with it.
func (s *Scheme) Signed(body stringify.Text) [][]byte {
	parts := s.Parts(body)
	for i, part := range parts {
		if isLast := i == len(parts)-1; part == nil || len(s.Members) > 0 && (part[0] == '{') != isLast {
			return nil
		}
	}
	return parts
}

// Signer returns the position of the secret that made one of the MACs over the concatenated parts.
// It never accepts an empty secret, which anybody could use. Each comparison takes constant time;
// the position of the secret is no secret.
func (r *Request) Signer(macs []MAC, scheme string, parts [][]byte) (position int, ok bool) {
	for i, key := range r.Secrets {
		switch {
		case key.IsEmpty():
			continue
		case r.Seal != nil && r.Seal(key, scheme, parts):
			return i, true
		case r.Seal != nil:
			continue
		}
		sum := key.MAC(parts...)
		for _, mac := range macs {
			if hmac.Equal(sum[:], mac[:]) {
				return i, true
			}
		}
	}
	return 0, false
}
