package config

import (
	"fmt"
	"slices"
)

// SecretsVariable returns the variable that holds the endpoint's secrets.
func (e *Endpoint) SecretsVariable() string {
	if e.SecretsFile != "" {
		return e.prefix + "SECRETS_FILE"
	}
	return e.prefix + "SECRETS"
}

// Shared is a secret that two endpoints have.
type Shared struct {
	A, B *Endpoint
	a, b int // its positions there
}

// IsAllowed reports whether both endpoints have the same provider and scheme. Otherwise a delivery
// that was signed for one could be sent to the other and mean something else there.
func (s Shared) IsAllowed() bool {
	return s.A.Provider == s.B.Provider && s.A.Signature == s.B.Signature
}

func (s Shared) String() string {
	return fmt.Sprintf("secret %d of endpoint %s (%s) is secret %d of endpoint %s (%s)",
		s.b, s.B.Name, s.B.SecretsVariable(), s.a, s.A.Name, s.A.SecretsVariable())
}

// FindShared returns the first shared secret of each two endpoints.
func FindShared(endpoints []Endpoint) (all []Shared) {
	for b := range endpoints {
		for a := range b {
			for i, s := range endpoints[b].Secrets {
				if at := slices.IndexFunc(endpoints[a].Secrets, s.Equal); at >= 0 {
					all = append(all, Shared{&endpoints[a], &endpoints[b], at, i})
					break
				}
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
			l.warn("%s: a delivery to one can also be sent to the other; give each endpoint its own secret", s)
		case s.A.Vendor != nil && s.B.Vendor != nil:
			l.wrong(s.B.SecretsVariable(), fmt.Sprintf("secrets of its own: %s, which has another provider or scheme: a delivery that is signed for one could be sent to the other", s))
		}
	}
}
