package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// reloader reads the secrets and the certificate again when their files change.
type reloader struct {
	endpoints   []config.Endpoint
	keyrings    map[string]*keyring // by endpoint
	certificate *certificate        // nil without TLS
}

func newReloader(c *config.Config, metrics *telemetry.Metrics, log *zap.Logger) *reloader {
	r := &reloader{endpoints: c.Endpoints, keyrings: make(map[string]*keyring)}
	for _, e := range c.Endpoints {
		r.keyrings[e.Name] = newKeyring(e, metrics, log)
	}
	if c.Certificate != nil {
		r.certificate = newCertificate(c, metrics, log)
	}
	return r
}

// watch watches the files until stop is called. stop doesn't wait: reading a file may hang.
func (r *reloader) watch() (stop func(context.Context) error) {
	var sets []fileio.Set
	for _, k := range r.keyrings {
		if k.file != "" {
			load := func(contents [][]byte, err error) { r.load(k, contents, err) }
			sets = append(sets, fileio.Set{Paths: []string{k.file}, Limit: secret.MaxFile, Changed: load})
		}
	}
	if c := r.certificate; c != nil {
		sets = append(sets, fileio.Set{Paths: []string{c.certFile, c.keyFile}, Limit: config.MaxTLSFile, Changed: c.load})
	}
	ctx, cancel := context.WithCancel(context.Background())
	go fileio.Watch(ctx, sets)
	return func(context.Context) error {
		cancel()
		return nil
	}
}

// load puts a file's secrets into force, all or none.
func (r *reloader) load(k *keyring, contents [][]byte, err error) {
	k.pending = nil
	if err == nil {
		err = k.parse(contents[0])
	}
	if err == nil {
		err = r.apply()[k]
	}
	if err != nil {
		k.reloads.failed(err)
	}
}

// apply puts pending secrets into force, together: two endpoints may exchange theirs. Endpoints of different
// providers or schemes must not share a secret, which the configuration refuses at the start. Secrets that
// would be shared must wait, and apply returns why.
func (r *reloader) apply() map[*keyring]error {
	waiting := make(map[*keyring]error)
	isNext := func(e *config.Endpoint) bool {
		k := r.keyrings[e.Name]
		return k.pending != nil && waiting[k] == nil
	}
	for range r.endpoints { // at most once for each endpoint that must wait
		endpoints := slices.Clone(r.endpoints)
		for i := range endpoints {
			e := &endpoints[i]
			e.Secrets = r.keyrings[e.Name].current()
			if isNext(e) {
				e.Secrets = r.keyrings[e.Name].pending
			}
		}
		conflicts := slices.DeleteFunc(config.FindShared(endpoints), config.Shared.IsAllowed)
		if len(conflicts) == 0 {
			break
		}
		// First those that conflict with secrets in force: then others needn't wait for them.
		first := slices.IndexFunc(conflicts, func(s config.Shared) bool { return isNext(s.A) != isNext(s.B) })
		shared := conflicts[max(first, 0)]
		loser := shared.B
		isInForce := func(s secret.Secret) bool { return slices.ContainsFunc(r.keyrings[shared.B.Name].current(), s.Equal) }
		if slices.ContainsFunc(shared.A.Secrets, isInForce) {
			loser = shared.A
		}
		waiting[r.keyrings[loser.Name]] = fmt.Errorf("%s, and differ in provider or scheme: give each its own", shared)
	}
	for _, e := range r.endpoints {
		if isNext(&e) {
			r.keyrings[e.Name].take()
		}
	}
	return waiting
}

// reloads logs and counts the reloads of a set of files.
type reloads struct {
	log  *zap.Logger
	what string           // what the files hold
	ok   prometheus.Gauge // whether the last reload succeeded
	at   prometheus.Gauge // when a reload last succeeded
	bad  bool             // the last reload failed
}

func newReloads(log *zap.Logger, what string, ok, at prometheus.Gauge) *reloads {
	r := &reloads{log: log, what: what, ok: ok, at: at}
	r.succeeded(false)
	return r
}

func (r *reloads) failed(err error) {
	r.bad = true
	r.ok.Set(0)
	r.log.Error(r.what+" can't be loaded, the last good ones stay in force", zap.Error(err))
}

func (r *reloads) succeeded(changed bool, fields ...zap.Field) {
	r.ok.Set(1)
	r.at.SetToCurrentTime()
	switch {
	case changed:
		r.log.Info(r.what+" loaded and in force", fields...)
	case r.bad:
		r.log.Info(r.what+" can be loaded again and have not changed", fields...)
	}
	r.bad = false
}

// certificate is the public listener's certificate with its key. Open connections keep the one that they
// began with.
type certificate struct {
	certFile, keyFile string
	inUse             atomic.Pointer[tls.Certificate]
	reloads           *reloads
	expiry            prometheus.Gauge
}

func newCertificate(c *config.Config, metrics *telemetry.Metrics, log *zap.Logger) *certificate {
	log = log.With(zap.String("file", c.TLSCertFile), zap.String("key_file", c.TLSKeyFile))
	cert := &certificate{
		certFile: c.TLSCertFile, keyFile: c.TLSKeyFile,
		reloads: newReloads(log, "certificate and key", metrics.TLSReloaded.WithLabelValues(), metrics.TLSReloadTime.WithLabelValues()),
		expiry:  metrics.CertificateExpiry.WithLabelValues(),
	}
	cert.use(c.Certificate)
	return cert
}

func (c *certificate) use(pair *tls.Certificate) {
	c.inUse.Store(pair)
	c.expiry.Set(float64(pair.Leaf.NotAfter.Unix()))
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		c.reloads.log.Error("certificate is not valid now and senders will refuse it: renew it",
			zap.Time("not_before", pair.Leaf.NotBefore), zap.Time("not_after", pair.Leaf.NotAfter))
	}
}

// load puts the files' certificate and key into use, both or neither.
func (c *certificate) load(contents [][]byte, err error) {
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.X509KeyPair(contents[0], contents[1])
	}
	if err != nil {
		c.reloads.failed(err)
		return
	}
	changed := !slices.EqualFunc(pair.Certificate, c.inUse.Load().Certificate, bytes.Equal) // another key has another certificate
	if changed {
		c.use(&pair)
	}
	c.reloads.succeeded(changed, zap.Strings("names", pair.Leaf.DNSNames), zap.Time("not_after", pair.Leaf.NotAfter))
}

// config returns the TLS configuration of a listener with this certificate, or nil if c is nil.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"}, // not HTTP/2 (ADR 12)
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.inUse.Load(), nil },
	}
}
