// Package secret holds shared secrets so that none can be printed by accident: a [Secret] shows
// itself as "[hidden]" to fmt, encoding/json and everything built on them, zap included.
package secret

import "fmt"

const hidden = "[hidden]"

// Secret is a shared secret. Its zero value is no secret at all and verifies nothing.
type Secret struct{ key []byte }

// New returns text as a secret.
func New(text string) Secret { return Secret{key: []byte(text)} }

// Key returns the secret's bytes, as the key of a MAC. They must not be changed or kept elsewhere.
func (s Secret) Key() []byte { return s.key }

// IsEmpty says whether there is no secret.
func (s Secret) IsEmpty() bool { return len(s.key) == 0 }

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
