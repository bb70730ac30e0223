package app

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// keyring holds the secrets of one endpoint that are in force, and counts what each has verified.
// They are replaced all at once; a delivery that has begun keeps the old ones.
type keyring struct {
	endpoint string
	file     string // "": they are in a variable and never change
	schemes  []string
	decode   func([]secret.Secret) ([]secret.Secret, error)
	inForce  atomic.Pointer[keys]
	reloads  reloads
	log      *zap.Logger
}

// keys is one set of secrets.
type keys struct {
	secrets []secret.Secret // the current one first
	uses    []*use          // of each
}

// use counts what one secret has verified at its position.
type use struct {
	last    atomic.Int64 // when it last verified, at any position, in Unix milliseconds; 0: not since the start
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

// current returns the secrets in force, which must not be changed.
func (k *keyring) current() []secret.Secret { return k.inForce.Load().secrets }

// replace puts other secrets into force. A secret that keeps its position keeps its counts. At any
// other position the counts start at 0, and only the time of the last use moves with the secret.
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

// verified counts a delivery that secret i of among has verified. It returns the secret's position
// now, -1 if it has been replaced, and reports whether this is its first delivery there of that
// scheme.
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

// parse returns the secrets in the file.
func (k *keyring) parse(content []byte) ([]secret.Secret, error) {
	secrets, err := secret.Lines(content)
	if err != nil {
		return nil, err
	}
	return k.decode(secrets)
}

// take puts secrets from the file into force.
func (k *keyring) take(secrets []secret.Secret) {
	log := k.log.With(zap.String("endpoint", k.endpoint), zap.String("file", k.file))
	recovered := k.reloads.succeeded()
	switch {
	case !slices.EqualFunc(secrets, k.current(), secret.Secret.Equal):
		k.replace(secrets)
		log.Info("secrets loaded and in force", zap.Int("secrets", len(secrets)))
		for i, s := range secrets {
			if doubt := s.Doubt(); doubt != "" {
				log.Warn(fmt.Sprintf("secret %d %s", i, doubt))
			}
		}
	case recovered:
		log.Info("secrets can be loaded again and have not changed", zap.Int("secrets", len(secrets)))
	}
}

// The metrics of a keyring have its endpoint as a label.
func signaturesDesc(endpoint string) *prometheus.Desc {
	return prometheus.NewDesc("webhook_bridge_signatures_verified_total",
		"Correct signatures by scheme and by the position of the secret that verified them: 0 is the current secret. A position restarts at 0 when it gets another secret.",
		[]string{"scheme", "secret"}, prometheus.Labels{"endpoint": endpoint})
}

func lastDesc(endpoint string) *prometheus.Desc {
	return prometheus.NewDesc("webhook_bridge_secret_last_verified_timestamp_seconds",
		"When the secret now at this position last verified a signature; 0: not since the start.",
		[]string{"secret"}, prometheus.Labels{"endpoint": endpoint})
}

// Describe implements prometheus.Collector.
func (k *keyring) Describe(to chan<- *prometheus.Desc) {
	to <- signaturesDesc(k.endpoint)
	to <- lastDesc(k.endpoint)
}

// Collect implements prometheus.Collector.
func (k *keyring) Collect(to chan<- prometheus.Metric) {
	signatures, last := signaturesDesc(k.endpoint), lastDesc(k.endpoint)
	for i, u := range k.inForce.Load().uses {
		position := strconv.Itoa(i)
		to <- prometheus.MustNewConstMetric(last, prometheus.GaugeValue, float64(u.last.Load())/1e3, position)
		for scheme, count := range u.schemes {
			if n := count.Load(); n > 0 {
				to <- prometheus.MustNewConstMetric(signatures, prometheus.CounterValue, float64(n), scheme, position)
			}
		}
	}
}
