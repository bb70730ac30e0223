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
