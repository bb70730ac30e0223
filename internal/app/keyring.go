package app

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// keyring is the secrets of one endpoint that are in force, and what each of them has verified. All of
// them are replaced at once: a delivery that has taken them goes on with those.
type keyring struct {
	endpoint string
	file     string // "" where they are in a variable, and don't change
	schemes  []string
	decode   func([]secret.Secret) ([]secret.Secret, error)
	inForce  atomic.Pointer[keys]
	offers   *offers
	reloads  reloads
	log      *zap.Logger
}

// keys is one set of secrets.
type keys struct {
	secrets []secret.Secret // the current one first
	uses    []*use          // of each
}

// use is what one secret has verified since it came to its position.
type use struct {
	last    atomic.Int64 // when it last did, in Unix milliseconds, at whichever position; 0: not since the start
	schemes map[string]*atomic.Uint64
}

func newKeyring(e config.Endpoint, log *zap.Logger) *keyring {
	k := &keyring{
		endpoint: e.Name, file: string(e.SecretsFile), schemes: e.Vendor.SchemeNames(), decode: e.Vendor.Keys, log: log,
	}
	k.inForce.Store(&keys{})
	k.replace(e.Secrets)
	k.reloads.succeeded()
	return k
}

// current is the secrets in force, which must not be changed.
func (k *keyring) current() []secret.Secret { return k.inForce.Load().secrets }

// replace puts other secrets in force. What is at its old position goes on counting; for all else that
// position means another secret now, and counts from 0. When a secret was last used moves along with it.
func (k *keyring) replace(secrets []secret.Secret) {
	old := k.inForce.Load()
	next := &keys{secrets: secrets, uses: make([]*use, len(secrets))}
	for i, s := range secrets {
		was := secret.Index(old.secrets, s)
		if was == i {
			next.uses[i] = old.uses[i]
			continue
		}
		u := &use{schemes: make(map[string]*atomic.Uint64)}
		for _, scheme := range k.schemes {
			u.schemes[scheme] = new(atomic.Uint64)
		}
		if was >= 0 {
			u.last.Store(old.uses[was].last.Load())
		}
		next.uses[i] = u
	}
	k.inForce.Store(next)
}

// verified notes that one of the secrets among which it was tried has verified a delivery, and returns
// its position now, and whether it is the first there that was signed so. Position is -1 where the
// secret has been replaced meanwhile.
func (k *keyring) verified(scheme string, among []secret.Secret, i int, now time.Time) (position int, first bool) {
	in := k.inForce.Load()
	if &among[0] != &in.secrets[0] { // replaced meanwhile
		if i = secret.Index(in.secrets, among[i]); i < 0 {
			return -1, false
		}
	}
	u := in.uses[i]
	u.last.Store(now.UnixMilli())
	count, ok := u.schemes[scheme]
	return i, ok && count.Add(1) == 1
}

// load takes what the file holds now, all of it or nothing.
func (k *keyring) load(contents [][]byte, err error) {
	var secrets []secret.Secret
	if err == nil {
		secrets, err = secret.Lines(contents[0])
	}
	if err == nil {
		secrets, err = k.decode(secrets)
	}
	if err == nil {
		err = k.offers.take(k.endpoint, secrets)
	} else {
		delete(k.offers.pending, k.endpoint)
	}
	if err != nil {
		k.reloads.failed()
		k.log.Error("secrets can't be loaded, those loaded last stay in force", zap.String("endpoint", k.endpoint), zap.String("file", k.file), zap.Error(err))
	}
}

// take puts secrets in force that were read from the file.
func (k *keyring) take(secrets []secret.Secret) {
	log := k.log.With(zap.String("endpoint", k.endpoint), zap.String("file", k.file))
	recovered := k.reloads.succeeded()
	switch {
	case !slices.EqualFunc(secrets, k.current(), secret.Secret.Equal):
		k.replace(secrets)
		log.Info("secrets loaded, and in force from now on", zap.Int("secrets", len(secrets)))
		for i, s := range secrets {
			if doubt := s.Doubt(); doubt != "" {
				log.Warn(fmt.Sprintf("secret %d %s", i, doubt))
			}
		}
	case recovered:
		log.Info("secrets can be loaded again, and are those in force", zap.Int("secrets", len(secrets)))
	}
}

// eachCount yields how many deliveries each secret in force has verified at its position.
func (k *keyring) eachCount(yield func(value float64, labels ...string)) {
	for i, u := range k.inForce.Load().uses {
		for scheme, count := range u.schemes {
			if n := count.Load(); n > 0 {
				yield(float64(n), k.endpoint, scheme, strconv.Itoa(i))
			}
		}
	}
}

// eachLast yields when each secret in force has last verified a delivery.
func (k *keyring) eachLast(yield func(value float64, labels ...string)) {
	for i, u := range k.inForce.Load().uses {
		yield(float64(u.last.Load())/1e3, k.endpoint, strconv.Itoa(i))
	}
}
