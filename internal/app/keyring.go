package app

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// keyring holds the secrets of one endpoint that are in force, and counts the deliveries that each
// verifies. It replaces them all at once; a delivery that has begun keeps the old ones.
type keyring struct {
	endpoint string
	file     string // "" if the secrets are in a variable; they never change then
	decode   func([]secret.Secret) ([]secret.Secret, error)
	metrics  *telemetry.Metrics
	reloads  *reloads // nil without a file

	pending []secret.Secret // read from the file, but not in force yet; nil if there are none
	doubts  []string        // about the secrets last read from the file

	mu      sync.Mutex
	inForce []secret.Secret // the current one first
	uses    []use           // of each secret in force
}

// use counts the deliveries that one secret has verified.
type use struct {
	last    float64          // when it last verified one, in Unix seconds; 0 if not since the start
	gauge   prometheus.Gauge // shows last
	schemes map[string]prometheus.Counter
}

func newKeyring(e config.Endpoint, metrics *telemetry.Metrics, log *zap.Logger) *keyring {
	k := &keyring{endpoint: e.Name, file: e.SecretsFile, decode: e.Settings.Keys, metrics: metrics}
	k.replace(e.Secrets)
	if k.file != "" {
		log = log.With(zap.String("endpoint", e.Name), zap.String("file", k.file))
		k.reloads = newReloads(log, "secrets", metrics.SecretsReloaded.WithLabelValues(e.Name), metrics.SecretsReloadTime.WithLabelValues(e.Name))
	}
	return k
}

// current returns the secrets in force, which must not be changed.
func (k *keyring) current() []secret.Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.inForce
}

// replace puts other secrets into force. A secret that keeps its position keeps its counts. One that moves
// keeps the time of its last use, but its counts start at 0: they are those of a position.
func (k *keyring) replace(secrets []secret.Secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	uses := make([]use, len(secrets))
	for i := range max(len(secrets), len(k.inForce)) {
		position := prometheus.Labels{"endpoint": k.endpoint, "secret": strconv.Itoa(i)}
		if i >= len(secrets) {
			k.metrics.Signatures.DeletePartialMatch(position)
			k.metrics.LastVerified.Delete(position)
			continue
		}
		was := slices.IndexFunc(k.inForce, secrets[i].Equal)
		if was == i {
			uses[i] = k.uses[i]
			continue
		}
		k.metrics.Signatures.DeletePartialMatch(position)
		uses[i] = use{gauge: k.metrics.LastVerified.With(position), schemes: make(map[string]prometheus.Counter)}
		if was >= 0 {
			uses[i].last = k.uses[was].last
		}
		uses[i].gauge.Set(uses[i].last)
	}
	k.inForce, k.uses = secrets, uses
}

// verified counts a delivery that a secret has verified. It returns the secret's position, or -1 if it is
// no longer in force, and whether this is the position's first delivery with the scheme.
func (k *keyring) verified(scheme string, by secret.Secret, now time.Time) (position int, first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.inForce, by.Equal)
	if i < 0 {
		return -1, false
	}
	u := &k.uses[i]
	u.last = float64(now.UnixMilli()) / 1e3
	u.gauge.Set(u.last)
	if u.schemes[scheme] == nil {
		u.schemes[scheme], first = k.metrics.Signatures.WithLabelValues(k.endpoint, scheme, strconv.Itoa(i)), true
	}
	u.schemes[scheme].Inc()
	return i, first
}

// parse makes the secrets in a file's content pending.
func (k *keyring) parse(content []byte) error {
	secrets, err := secret.Lines(content)
	if err != nil {
		return err
	}
	k.doubts = nil
	for i, s := range secrets {
		if doubt := s.Doubt(); doubt != "" {
			k.doubts = append(k.doubts, fmt.Sprintf("secret %d %s", i, doubt))
		}
	}
	k.pending, err = k.decode(secrets)
	return err
}

// take puts the pending secrets into force.
func (k *keyring) take() {
	secrets := k.pending
	k.pending = nil
	changed := !slices.EqualFunc(secrets, k.current(), secret.Secret.Equal)
	if changed {
		k.replace(secrets)
		for _, doubt := range k.doubts {
			k.reloads.log.Warn(doubt)
		}
	}
	k.reloads.succeeded(changed, zap.Int("secrets", len(secrets)))
}
