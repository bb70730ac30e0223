package config

import (
	"fmt"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// SecretsVariable is the variable that has the endpoint's secrets.
func (e *Endpoint) SecretsVariable() string {
	if e.SecretsFile != "" {
		return e.prefix + "SECRETS_FILE"
	}
	return e.prefix + "SECRETS"
}

// Shared is a secret that two endpoints have.
type Shared struct {
	A, B *Endpoint
	a, b int // its positions
}

// IsAllowed reports whether both endpoints take what is signed with it for the same: they have one
// provider and one scheme. Otherwise what somebody can have signed for one could be sent to the other,
// and mean something else there: whoever writes what the one signs would make events of the other.
func (s Shared) IsAllowed() bool {
	return s.A.Provider == s.B.Provider && s.A.Signature == s.B.Signature
}

func (s Shared) String() string {
	return fmt.Sprintf("secret %d of endpoint %s (%s) is secret %d of endpoint %s (%s)",
		s.b, s.B.Name, s.B.SecretsVariable(), s.a, s.A.Name, s.A.SecretsVariable())
}

// FindShared returns the first secret that each two endpoints share.
func FindShared(endpoints []Endpoint) (all []Shared) {
	type use struct{ endpoint, position int }
	uses := make(map[string][]use)
	found := make(map[[2]int]bool)
	for b := range endpoints {
		for i, s := range endpoints[b].Secrets {
			key := string(s.Key())
			for _, other := range uses[key] {
				if pair := [2]int{other.endpoint, b}; other.endpoint != b && !found[pair] {
					found[pair] = true
					all = append(all, Shared{&endpoints[other.endpoint], &endpoints[b], other.position, i})
				}
			}
			uses[key] = append(uses[key], use{b, i})
		}
	}
	return all
}

// isKnown reports whether the endpoint's provider and scheme are ones that there are.
func (e *Endpoint) isKnown() bool {
	p := providers.ByName(e.Provider)
	return p != nil && slices.Contains(p.Signatures(), e.Signature)
}

// checkShared refuses a secret that two endpoints don't take for the same.
func (l *loader) checkShared(c *Config) {
	for _, s := range FindShared(c.Endpoints) {
		if !s.IsAllowed() && s.A.isKnown() && s.B.isKnown() {
			l.wrong(s.B.SecretsVariable(), fmt.Sprintf("secrets of its own: %s, which has another provider or scheme, so that what is signed for one could be sent to the other", s))
		}
	}
}

// Doubts returns what is allowed of the endpoints' secrets but hardly meant.
func Doubts(endpoints []Endpoint) (all []string) {
	for i := range endpoints {
		e := &endpoints[i]
		for position, s := range e.Secrets {
			if doubt := s.Doubt(); doubt != "" {
				all = append(all, fmt.Sprintf("secret %d of %s %s", position, e.SecretsVariable(), doubt))
			}
		}
	}
	for _, s := range FindShared(endpoints) {
		if s.IsAllowed() {
			all = append(all, fmt.Sprintf("%s: a delivery to one can be sent to the other too; give each its own", s))
		}
	}
	return all
}
