package config

import (
	"fmt"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// SecretsVariable returns the variable that holds the endpoint's secrets.
func (e *Endpoint) SecretsVariable() string {
	if e.SecretsFile != "" {
		return e.prefix + "SECRETS_FILE"
	}
	return e.prefix + "SECRETS"
}

// Shared is a pair of endpoints that share a secret.
type Shared struct{ A, B *Endpoint }

// IsAllowed reports whether both endpoints have the same provider and scheme. Otherwise a delivery
// that was signed for one could be sent to the other and mean something else there.
func (s Shared) IsAllowed() bool {
	return s.A.Provider == s.B.Provider && s.A.Signature == s.B.Signature
}

func (s Shared) String() string {
	return fmt.Sprintf("endpoints %s (%s) and %s (%s) share a secret", s.A.Name, s.A.SecretsVariable(), s.B.Name, s.B.SecretsVariable())
}

// FindShared returns the pairs of endpoints that share a secret.
func FindShared(endpoints []Endpoint) (all []Shared) {
	for b := range endpoints {
		for a := range b {
			isIn := func(s secret.Secret) bool { return slices.ContainsFunc(endpoints[a].Secrets, s.Equal) }
			if slices.ContainsFunc(endpoints[b].Secrets, isIn) {
				all = append(all, Shared{&endpoints[a], &endpoints[b]})
			}
		}
	}
	return all
}

// checkShared refuses a secret that endpoints of different providers or schemes share, and warns of
// other shared ones.
func (l *loader) checkShared(c *Config) {
	for _, s := range FindShared(c.Endpoints) {
		switch {
		case s.IsAllowed():
			l.warn("%s: a delivery to one can also be sent to the other; give each endpoint its own", s)
		case s.A.Vendor != nil && s.B.Vendor != nil:
			l.wrong(s.B.SecretsVariable(), fmt.Sprintf("secrets of its own: %s, and differ in provider or scheme: a delivery that is signed for one could be sent to the other", s))
		}
	}
}
