package app

import (
	"fmt"
	"slices"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// sharedSecrets keeps reloads from putting one secret into force at endpoints of different
// providers or schemes, as the configuration does at the start. Its methods must not run
// concurrently.
type sharedSecrets struct {
	endpoints []config.Endpoint
	rings     map[string]*keyring
	pending   map[string][]secret.Secret // secrets in files that can't come into force yet, by endpoint
}

func newSharedSecrets(c *config.Config, rings map[string]*keyring) *sharedSecrets {
	o := &sharedSecrets{endpoints: c.Endpoints, rings: rings, pending: make(map[string][]secret.Secret)}
	for _, k := range rings {
		k.shared = o
	}
	return o
}

// take puts an endpoint's secrets into force, or returns why they can't be. Pending ones of other
// endpoints come into force with them, as when two endpoints exchange their secrets.
func (o *sharedSecrets) take(endpoint string, secrets []secret.Secret) error {
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

func (o *sharedSecrets) apply(secrets map[string][]secret.Secret) {
	for endpoint, list := range secrets {
		o.rings[endpoint].take(list)
		delete(o.pending, endpoint)
	}
}

// clash returns an error if putting these into force would share a secret between endpoints of
// different providers or schemes.
func (o *sharedSecrets) clash(with map[string][]secret.Secret) error {
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
			return fmt.Errorf("%s, which has another provider or scheme: give each endpoint its own secret", shared)
		}
	}
	return nil
}
