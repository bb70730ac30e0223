package app

import (
	"context"
	"fmt"
	"maps"
	"slices"

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
		r.apply()
		if k.pending != nil {
			err = r.conflict(k)
		}
	}
	if err != nil {
		k.reloads.failed(err)
	}
}

// apply puts the pending secrets into force: all of them if they don't conflict with each other, as when
// two endpoints exchange theirs; else those that don't conflict with secrets in force.
func (r *reloader) apply() {
	pending := slices.DeleteFunc(slices.Collect(maps.Values(r.keyrings)), func(k *keyring) bool { return k.pending == nil })
	all := r.conflict(pending...) == nil
	for range pending { // a secret that is replaced may make way for one that waits
		for _, k := range pending {
			if k.pending != nil && (all || r.conflict(k) == nil) {
				k.take()
			}
		}
	}
}

// conflict returns an error if, with these keyrings' pending secrets in force, endpoints of different
// providers or schemes would share a secret. The configuration refuses that at the start.
func (r *reloader) conflict(changed ...*keyring) error {
	endpoints := slices.Clone(r.endpoints)
	for i := range endpoints {
		k := r.keyrings[endpoints[i].Name]
		endpoints[i].Secrets = k.current()
		if slices.Contains(changed, k) {
			endpoints[i].Secrets = k.pending
		}
	}
	for _, shared := range config.FindShared(endpoints) {
		if !shared.IsAllowed() {
			return fmt.Errorf("%s, and differ in provider or scheme: give each its own", shared)
		}
	}
	return nil
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
