// Package secret holds shared secrets so that none can be printed by accident: a [Secret] shows
// itself as "[hidden]" to fmt, encoding/json and everything built on them, zap included. Where its
// methods can't be called, in another type's unexported field, there is nothing to be seen of it.
package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"sync"
)

const hidden = "[hidden]"

// Secret is a shared secret. Its zero value is no secret at all and verifies nothing.
type Secret struct {
	// Functions, since that is what no printer looks into: through reflection fmt sees unexported
	// fields, and follows no method there; dumpers for debugging follow pointers too.
	key func() []byte
	mac func(parts [][]byte) [sha256.Size]byte
}

// New returns text as a secret.
func New(text string) Secret {
	key := []byte(text)
	return Secret{key: func() []byte { return key }, mac: keyed(key)}
}

// keyed returns HMAC-SHA256 under the key. It keeps states that have the key in them already: to begin
// anew costs as much as hashing a hundred bytes, and some allocations.
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

// MAC is the HMAC-SHA256 of the concatenated parts under the secret.
func (s Secret) MAC(parts ...[]byte) [sha256.Size]byte {
	if s.mac == nil {
		return keyed(nil)(parts)
	}
	return s.mac(parts)
}

// Key returns the secret's bytes, as the key of a MAC. They must not be changed or kept elsewhere.
func (s Secret) Key() []byte {
	if s.key == nil {
		return nil
	}
	return s.key()
}

// IsEmpty reports whether there is no secret.
func (s Secret) IsEmpty() bool { return len(s.Key()) == 0 }

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

// UnmarshalText takes text as a secret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
