package app

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/filewatch"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// reloader reads secrets and the certificate again when their files change.
type reloader struct {
	keyrings    map[string]*keyring // by endpoint
	certificate *certificate        // nil without TLS
	watcher     *filewatch.Watcher
}

func newReloader(c *config.Config, log *zap.Logger) (*reloader, error) {
	r := &reloader{keyrings: make(map[string]*keyring)}
	for _, e := range c.Endpoints {
		r.keyrings[e.Name] = newKeyring(e, log)
	}
	newSharedSecrets(c, r.keyrings)
	if c.TLSCertFile == "" {
		return r, nil
	}
	var err error
	r.certificate, err = newCertificate(string(c.TLSCertFile), string(c.TLSKeyFile), log)
	return r, err
}

// start watches the files.
func (r *reloader) start(log *zap.Logger) {
	var files []filewatch.Files
	for _, k := range r.keyrings {
		if k.file != "" {
			files = append(files, filewatch.Files{Paths: []string{k.file}, Limit: secret.MaxFile, Changed: k.load})
		}
	}
	if c := r.certificate; c != nil {
		files = append(files, filewatch.Files{Paths: []string{c.certFile, c.keyFile}, Limit: config.MaxTLSFile, Changed: c.load})
	}
	if len(files) > 0 {
		r.watcher = filewatch.Start(files, log)
	}
}

func (r *reloader) stop() {
	if r != nil && r.watcher != nil {
		r.watcher.Close()
	}
}

// reloads is the state of reading files again.
type reloads struct {
	bad  atomic.Bool  // the last reload failed
	last atomic.Int64 // when a reload last succeeded, in Unix milliseconds
}

func (r *reloads) failed() { r.bad.Store(true) }

// succeeded notes a success and reports whether the reload before it had failed.
func (r *reloads) succeeded() (recovered bool) {
	r.last.Store(time.Now().UnixMilli())
	return r.bad.Swap(false)
}

func (r *reloads) ok() float64 { return number(!r.bad.Load()) }

func (r *reloads) at() float64 { return float64(r.last.Load()) / 1e3 }

// metrics returns those of secrets and certificate.
func (r *reloader) metrics() []prometheus.Collector {
	var all []prometheus.Collector
	for _, k := range r.keyrings {
		all = append(all, k)
		if k.file != "" {
			all = append(all, reloadGauges("secrets", "The endpoint's secrets file", prometheus.Labels{"endpoint": k.endpoint}, &k.reloads)...)
		}
	}
	if c := r.certificate; c != nil {
		all = append(all, reloadGauges("tls", "Certificate and key files", nil, &c.reloads)...)
		all = append(all, gauge("tls_certificate_expiry_timestamp_seconds", "When the certificate in use expires.", nil,
			func() float64 { return float64(c.inUse.Load().Leaf.NotAfter.Unix()) }))
	}
	return all
}

func reloadGauges(noun, what string, labels prometheus.Labels, r *reloads) []prometheus.Collector {
	return []prometheus.Collector{
		gauge(noun+"_last_reload_successful", what+": 1 if the last reload succeeded, 0 if it failed and the last good contents stay in use.", labels, r.ok),
		gauge(noun+"_last_reload_success_timestamp_seconds", what+": when the last successful reload was.", labels, r.at),
	}
}
