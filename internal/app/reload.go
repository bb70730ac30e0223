package app

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/filewatch"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
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

// show adds the metrics of secrets and certificate.
func (r *reloader) show(metrics *telemetry.Metrics) {
	all := func(read func(*keyring, func(float64, ...string))) func(func(float64, ...string)) {
		return func(yield func(float64, ...string)) {
			for _, k := range r.keyrings {
				read(k, yield)
			}
		}
	}
	metrics.WatchFamilies(
		telemetry.Family{
			Name: "webhook_bridge_signatures_verified_total", Type: prometheus.CounterValue, Labels: []string{"endpoint", "scheme", "secret"},
			Help: "Correct signatures by scheme and by the position of the secret that verified them: 0 is the current secret. A position restarts at 0 when it gets another secret.",
			Read: all((*keyring).eachCount),
		},
		telemetry.Family{
			Name: "webhook_bridge_secret_last_verified_timestamp_seconds", Type: prometheus.GaugeValue, Labels: []string{"endpoint", "secret"},
			Help: "When the secret now at this position last verified a signature; 0: not since the start.",
			Read: all((*keyring).eachLast),
		},
	)
	for _, k := range r.keyrings {
		if k.file != "" {
			metrics.Watch(reloadGauges("secrets", "The endpoint's secrets file", map[string]string{"endpoint": k.endpoint}, &k.reloads)...)
		}
	}
	if c := r.certificate; c != nil {
		metrics.Watch(reloadGauges("tls", "Certificate and key files", nil, &c.reloads)...)
		metrics.Watch(telemetry.Gauge{
			Name: "webhook_bridge_tls_certificate_expiry_timestamp_seconds", Help: "When the certificate in use expires.",
			Value: func() float64 { return float64(c.inUse.Load().Leaf.NotAfter.Unix()) },
		})
	}
}

func reloadGauges(noun, what string, labels map[string]string, r *reloads) []telemetry.Gauge {
	return []telemetry.Gauge{
		{Name: "webhook_bridge_" + noun + "_last_reload_successful", Help: what + ": 1 if the last reload succeeded, 0 if it failed and the last good contents stay in use.", Labels: labels, Value: r.ok},
		{Name: "webhook_bridge_" + noun + "_last_reload_success_timestamp_seconds", Help: what + ": when the last successful reload was.", Labels: labels, Value: r.at},
	}
}
