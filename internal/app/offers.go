package app

import (
	"fmt"
	"slices"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// offers keeps one secret from coming into force at endpoints that don't take it for the same, as the
// configuration does at the start. Its methods must not overlap.
type offers struct {
	endpoints []config.Endpoint
	rings     map[string]*keyring
	pending   map[string][]secret.Secret // what files hold and can't come into force, by endpoint
}

func newOffers(c *config.Config, rings map[string]*keyring) *offers {
	o := &offers{endpoints: c.Endpoints, rings: rings, pending: make(map[string][]secret.Secret)}
	for _, k := range rings {
		k.offers = o
	}
	return o
}

// take takes an endpoint's secrets, or returns why they can't come into force. Others that had to wait
// for that come into force with them, as where two endpoints exchange theirs.
func (o *offers) take(endpoint string, secrets []secret.Secret) error {
	o.pending[endpoint] = secrets
	if err := o.clash(map[string][]secret.Secret{endpoint: secrets}); err != nil {
		if o.clash(o.pending) != nil {
			return err
		}
		o.apply(o.pending)
		return nil
	}
	o.apply(map[string][]secret.Secret{endpoint: secrets})
	for other, secrets := range o.pending {
		if one := map[string][]secret.Secret{other: secrets}; o.clash(one) == nil {
			o.apply(one)
		}
	}
	return nil
}

func (o *offers) apply(secrets map[string][]secret.Secret) {
	for endpoint, list := range secrets {
		o.rings[endpoint].take(list)
		delete(o.pending, endpoint)
	}
}

// clash returns an error where, with these in place of those in force, a secret would be at two
// endpoints that don't take it for the same.
func (o *offers) clash(with map[string][]secret.Secret) error {
	would := slices.Clone(o.endpoints)
	for i := range would {
		e := &would[i]
		list, ok := with[e.Name]
		if !ok {
			list = o.rings[e.Name].current()
		}
		e.Secrets = list
	}
	for _, shared := range config.FindShared(would) {
		if !shared.IsAllowed() {
			return fmt.Errorf("%s, which has another provider or scheme: give each its own", shared)
		}
	}
	return nil
}
