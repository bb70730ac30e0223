package app

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/filewatch"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// reloader reads secrets and the certificate again when their files change.
type reloader struct {
	log         *zap.Logger
	endpoints   []config.Endpoint
	keyrings    map[string]*keyring // by endpoint
	certificate *certificate        // nil without TLS
	stopWatch   func()              // nil if no file is watched

	pending map[string][]secret.Secret // secrets in files that can't come into force yet, by endpoint
}

func newReloader(c *config.Config, metrics *telemetry.Metrics, log *zap.Logger) *reloader {
	r := &reloader{log: log, endpoints: c.Endpoints, keyrings: make(map[string]*keyring), pending: make(map[string][]secret.Secret)}
	for _, e := range c.Endpoints {
		r.keyrings[e.Name] = newKeyring(e, metrics, log)
	}
	if c.Certificate != nil {
		r.certificate = newCertificate(c, metrics, log)
	}
	return r
}

// start watches the files.
func (r *reloader) start() {
	var files []filewatch.Files
	for _, k := range r.keyrings {
		if k.file != "" {
			load := func(contents [][]byte, err error) { r.load(k, contents, err) }
			files = append(files, filewatch.Files{Paths: []string{k.file}, Limit: secret.MaxFile, Changed: load})
		}
	}
	if c := r.certificate; c != nil {
		files = append(files, filewatch.Files{Paths: []string{c.certFile, c.keyFile}, Limit: config.MaxTLSFile, Changed: c.load})
	}
	if len(files) > 0 {
		r.stopWatch = filewatch.Watch(files)
	}
}

// load puts a file's secrets into force, all or none.
func (r *reloader) load(k *keyring, contents [][]byte, err error) {
	delete(r.pending, k.endpoint)
	var secrets []secret.Secret
	if err == nil {
		secrets, err = k.parse(contents[0])
	}
	if err == nil {
		r.pending[k.endpoint] = secrets
		err = r.apply(k.endpoint)
	}
	if err != nil {
		k.reloads.failed()
		r.log.Error("secrets can't be loaded, the last good ones stay in force", zap.String("endpoint", k.endpoint), zap.String("file", k.file), zap.Error(err))
	}
}

// apply puts the pending secrets into force: all, as when two endpoints exchange theirs, or else
// those that can be by themselves. It returns why the endpoint's can't be.
func (r *reloader) apply(endpoint string) error {
	all := r.clash(r.pending) == nil
	var refused error
	for name, secrets := range maps.Clone(r.pending) {
		err := r.clash(map[string][]secret.Secret{name: secrets})
		switch {
		case all || err == nil:
			r.keyrings[name].take(secrets)
			delete(r.pending, name)
		case name == endpoint:
			refused = err
		}
	}
	return refused
}

// clash returns an error if putting these into force would share a secret between endpoints of
// different providers or schemes, which the configuration doesn't allow at the start either.
func (r *reloader) clash(with map[string][]secret.Secret) error {
	would := slices.Clone(r.endpoints)
	for i := range would {
		e := &would[i]
		list, ok := with[e.Name]
		if !ok {
			list = r.keyrings[e.Name].current()
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

func (r *reloader) stop(context.Context) error {
	if r.stopWatch != nil {
		r.stopWatch()
	}
	return nil
}

// reloads is the state of reading files again.
type reloads struct {
	bad    bool             // the last reload failed
	ok, at prometheus.Gauge // whether it succeeded, and when one last did
}

func newReloads(ok, at prometheus.Gauge) *reloads {
	r := &reloads{ok: ok, at: at}
	r.succeeded()
	return r
}

func (r *reloads) failed() {
	r.bad = true
	r.ok.Set(0)
}

// succeeded notes a success and reports whether the reload before it had failed.
func (r *reloads) succeeded() (recovered bool) {
	r.ok.Set(1)
	r.at.SetToCurrentTime()
	recovered, r.bad = r.bad, false
	return recovered
}
