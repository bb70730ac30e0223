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
	sum := key.MAC(parts...)
	return sum[:]
}

// authenticate returns the claim that one of the MACs covers the text, by the scheme. One that the
// endpoint's scheme doesn't allow is refused like any other; that it would have been right is said apart,
// because then the endpoint is set to the wrong scheme, and nothing else is wrong.
func authenticate(r Request, macs []mac256, scheme string, signed ...[]byte) (Claims, error) {
	position, ok := signer(r.Secrets, macs, signed...)
	switch {
	case !ok:
		return Claims{}, WrongSignature
	case r.Scheme != scheme && r.Scheme != Auto:
		return Claims{}, fmt.Errorf("%w: it covers %s", OtherScheme, scheme)
	}
	return Claims{Scheme: scheme, Secret: position, SignedText: signed}, nil
}

// signer returns which of the secrets made one of the MACs over the parts' concatenation. An empty
// secret, which anybody could know, signs nothing. Each comparison takes constant time; which
// secret it was needs no hiding.
func signer(secrets []secret.Secret, macs []mac256, parts ...[]byte) (position int, ok bool) {
	for i, key := range secrets {
		if key.IsEmpty() {
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

// mac256 is a decoded MAC.
type mac256 [sha256.Size]byte

// decodeHex reads a MAC in hexadecimal.
func decodeHex(text string) (mac mac256, ok bool) {
	if len(text) != hex.EncodedLen(len(mac)) {
		return mac, false
	}
	_, err := hex.Decode(mac[:], []byte(text))
	return mac, err == nil
}

// decodeHexOrBase64 reads a MAC in hexadecimal or base64, standard or URL alphabet, padded or not. The
// length tells the two apart.
func decodeHexOrBase64(text string) (mac mac256, ok bool) {
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
	n, err := encoding.Strict().Decode(mac[:], []byte(text))
	return mac, err == nil && n == len(mac)
}
