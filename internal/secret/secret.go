// Package secret holds shared secrets so that none is printed by accident: fmt, encoding/json and
// everything that uses them, such as zap, print a [Secret] as "[hidden]". They can't call its methods if
// it is in an unexported field of another type; there they show nothing of the secret either.
package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"sync"
)

const hidden = "[hidden]"

// Secret is a shared secret. The zero value is none and verifies nothing.
type Secret struct {
	// Functions, because no printer looks into them. fmt prints unexported fields by reflection,
	// without calling methods, and debugging tools follow pointers too.
	key func() []byte
	mac func(parts [][]byte) [sha256.Size]byte
}

// New returns text as a secret.
func New(text string) Secret {
	key := []byte(text)
	return Secret{key: func() []byte { return key }, mac: keyed(key)}
}

// keyed returns HMAC-SHA256 with the key. It reuses states that contain the key: a new one costs some
// allocations, and as much time as hashing a hundred bytes.
func keyed(key []byte) func([][]byte) [sha256.Size]byte {
	type state struct {
		hash.Hash
		sum [sha256.Size]byte
	}
	states := sync.Pool{New: func() any { return &state{Hash: hmac.New(sha256.New, key)} }}
	return func(parts [][]byte) [sha256.Size]byte {
		s := states.Get().(*state)
		defer states.Put(s)
		s.Reset()
		for _, part := range parts {
			s.Write(part)
		}
		s.Sum(s.sum[:0])
		return s.sum
	}
}

// MAC returns the HMAC-SHA256 of the concatenated parts under the secret.
func (s Secret) MAC(parts ...[]byte) [sha256.Size]byte {
	if s.mac == nil {
		return keyed(nil)(parts)
	}
	return s.mac(parts)
}

// Key returns the secret's bytes. Callers must not change or keep them.
func (s Secret) Key() []byte {
	if s.key == nil {
		return nil
	}
	return s.key()
}

// IsEmpty reports whether the secret is empty, or only zeros: HMAC pads a key with zeros, so that is the
// same key.
func (s Secret) IsEmpty() bool { return len(bytes.Trim(s.Key(), "\x00")) == 0 }

// Equal reports whether both are the same secret.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Key(), other.Key()) == 1
}

// String hides the secret.
func (s Secret) String() string { return hidden }

// Format hides the secret from every verb of fmt, %x and %#v included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText sets the secret to text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
