package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// reloader reads secrets and the certificate again when their files change.
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

// watch watches the files until stop is called.
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
	stopWatch := fileio.Watch(sets)
	return func(context.Context) error {
		stopWatch()
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
			err = r.clash(k)
		}
	}
	if err != nil {
		k.reloads.failed(err)
	}
}

// apply puts pending secrets into force: all, as when two endpoints exchange theirs, or else those
// that can be by themselves.
func (r *reloader) apply() {
	var pending []*keyring
	for _, k := range r.keyrings {
		if k.pending != nil {
			pending = append(pending, k)
		}
	}
	all := r.clash(pending...) == nil
	for _, k := range pending {
		if all || r.clash(k) == nil {
			k.take()
		}
	}
}

// clash returns an error if putting the pending secrets of these keyrings into force would share a
// secret between endpoints of different providers or schemes, which the configuration doesn't allow
// at the start either.
func (r *reloader) clash(with ...*keyring) error {
	would := slices.Clone(r.endpoints)
	for i := range would {
		k := r.keyrings[would[i].Name]
		would[i].Secrets = k.current()
		if slices.Contains(with, k) {
			would[i].Secrets = k.pending
		}
	}
	for _, shared := range config.FindShared(would) {
		if !shared.IsAllowed() {
			return fmt.Errorf("%s, which has another provider or scheme: give each endpoint its own secret", shared)
		}
	}
	return nil
}

// reloads reports in log and metrics how reading files again has ended.
type reloads struct {
	log  *zap.Logger
	what string           // is in the files
	ok   prometheus.Gauge // whether the last one succeeded
	at   prometheus.Gauge // when one last did
	bad  bool             // the last one failed
}

func newReloads(log *zap.Logger, what string, ok, at prometheus.Gauge) *reloads {
	r := &reloads{log: log, what: what, ok: ok, at: at}
	r.succeeded(false)
	return r
}

func (r *reloads) failed(err error) {
	r.log.Error(r.what+" can't be loaded, the last good ones stay in force", zap.Error(err))
	r.bad = true
	r.ok.Set(0)
}

func (r *reloads) succeeded(changed bool, fields ...zap.Field) {
	switch {
	case changed:
		r.log.Info(r.what+" loaded and in force", fields...)
	case r.bad:
		r.log.Info(r.what+" can be loaded again and have not changed", fields...)
	}
	r.bad = false
	r.ok.Set(1)
	r.at.SetToCurrentTime()
}
