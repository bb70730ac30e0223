package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// Sum is the HMAC-SHA256 of the concatenated parts under the secret.
func Sum(key secret.Secret, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key.Key())
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// authenticate returns which of the possible claims one of the MACs proves. One that the endpoint's
// scheme doesn't allow is refused like any other; that it would have been right is said apart,
// because then the endpoint is set to the wrong scheme, and nothing else is wrong.
func authenticate(r Request, macs [][]byte, possible []Claims) (Claims, error) {
	for _, c := range possible {
		position, ok := signer(r.Secrets, macs, c.SignedText...)
		switch {
		case ok && (r.Scheme == c.Scheme || r.Scheme == Auto):
			c.Secret = position
			return c, nil
		case ok:
			return Claims{}, fmt.Errorf("%w: it covers %s", OtherScheme, c.Scheme)
		}
	}
	return Claims{}, WrongSignature
}

// signer returns which of the secrets made one of the MACs over the parts' concatenation. An empty
// secret, which anybody could know, signs nothing. Each comparison takes constant time; which
// secret it was needs no hiding.
func signer(secrets []secret.Secret, macs [][]byte, parts ...[]byte) (position int, ok bool) {
	for i, key := range secrets {
		if key.IsEmpty() {
			continue
		}
		sum := Sum(key, parts...)
		for _, mac := range macs {
			if hmac.Equal(sum, mac) {
				return i, true
			}
		}
	}
	return 0, false
}

// single returns the one value of the signature header, "" where there is none. With several
// values, which one counts would be a guess.
func single(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", ManySignatures
}

// decodeHex reads a MAC in hexadecimal; nil where it isn't one.
func decodeHex(text string) []byte {
	if len(text) != hex.EncodedLen(sha256.Size) {
		return nil
	}
	mac, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return mac
}

// decodeHexOrBase64 reads a MAC in hexadecimal or base64, standard or URL alphabet, padded or not;
// nil where it is none of these. The length tells the two apart.
func decodeHexOrBase64(text string) []byte {
	const unpadded = 43 // base64 characters of 32 bytes
	if len(text) == unpadded+1 {
		text = strings.TrimSuffix(text, "=")
	}
	if len(text) != unpadded {
		return decodeHex(text)
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	// encoding/base64 passes over line breaks: then fewer bytes than a MAC's come out.
	mac, err := encoding.Strict().DecodeString(text)
	if err != nil || len(mac) != sha256.Size {
		return nil
	}
	return mac
}
