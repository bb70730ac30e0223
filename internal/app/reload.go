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

// live is what is read again from its files while the bridge runs: secrets and the certificate.
type live struct {
	keyrings    map[string]*keyring // by endpoint
	certificate *certificate        // nil without TLS
	watcher     *filewatch.Watcher
}

func newLive(c *config.Config, log *zap.Logger) (*live, error) {
	l := &live{keyrings: make(map[string]*keyring)}
	for _, e := range c.Endpoints {
		l.keyrings[e.Name] = newKeyring(e, log)
	}
	newOffers(c, l.keyrings)
	if c.TLSCertFile == "" {
		return l, nil
	}
	var err error
	l.certificate, err = newCertificate(string(c.TLSCertFile), string(c.TLSKeyFile), log)
	return l, err
}

// start begins to look for changes.
func (l *live) start(log *zap.Logger) {
	var files []filewatch.Files
	for _, k := range l.keyrings {
		if k.file != "" {
			files = append(files, filewatch.Files{Paths: []string{k.file}, Limit: secret.MaxFile, Changed: k.load})
		}
	}
	if c := l.certificate; c != nil {
		files = append(files, filewatch.Files{Paths: []string{c.certFile, c.keyFile}, Limit: config.MaxTLSFile, Changed: c.load})
	}
	if len(files) > 0 {
		l.watcher = filewatch.Start(files, log)
	}
}

func (l *live) stop() {
	if l != nil && l.watcher != nil {
		l.watcher.Close()
	}
}

// reloads is what became of reading files again.
type reloads struct {
	bad  atomic.Bool  // the last one failed
	last atomic.Int64 // when one last succeeded, in Unix milliseconds
}

func (r *reloads) failed() { r.bad.Store(true) }

// succeeded reports whether the one before had failed.
func (r *reloads) succeeded() (recovered bool) {
	r.last.Store(time.Now().UnixMilli())
	return r.bad.Swap(false)
}

func (r *reloads) ok() float64 { return number(!r.bad.Load()) }

func (r *reloads) at() float64 { return float64(r.last.Load()) / 1e3 }

// show adds the metrics of what is live.
func (l *live) show(metrics *telemetry.Metrics) {
	all := func(read func(*keyring, func(float64, ...string))) func(func(float64, ...string)) {
		return func(yield func(float64, ...string)) {
			for _, k := range l.keyrings {
				read(k, yield)
			}
		}
	}
	metrics.WatchFamilies(
		telemetry.Family{
			Name: "webhook_bridge_signatures_verified_total", Type: prometheus.CounterValue, Labels: []string{"endpoint", "scheme", "secret"},
			Help: "Right signatures by what they covered and by the position of the secret that verified them: 0 is the current one. It begins anew where another secret comes to a position.",
			Read: all((*keyring).eachCount),
		},
		telemetry.Family{
			Name: "webhook_bridge_secret_last_verified_timestamp_seconds", Type: prometheus.GaugeValue, Labels: []string{"endpoint", "secret"},
			Help: "When the secret that is at this position now last verified a signature; 0: not since the start.",
			Read: all((*keyring).eachLast),
		},
	)
	for _, k := range l.keyrings {
		if k.file != "" {
			metrics.Watch(reloadGauges("secrets", "The file of the endpoint's secrets", map[string]string{"endpoint": k.endpoint}, &k.reloads)...)
		}
	}
	if c := l.certificate; c != nil {
		metrics.Watch(reloadGauges("tls", "The files of certificate and key", nil, &c.reloads)...)
		metrics.Watch(telemetry.Gauge{
			Name: "webhook_bridge_tls_certificate_expiry_timestamp_seconds", Help: "When the certificate in use expires.",
			Value: func() float64 { return float64(c.inUse.Load().Leaf.NotAfter.Unix()) },
		})
	}
}

func reloadGauges(noun, what string, labels map[string]string, r *reloads) []telemetry.Gauge {
	return []telemetry.Gauge{
		{Name: "webhook_bridge_" + noun + "_last_reload_successful", Help: what + ": whether the last reading of what they hold succeeded; 0: what was read before is in use.", Labels: labels, Value: r.ok},
		{Name: "webhook_bridge_" + noun + "_last_reload_success_timestamp_seconds", Help: what + ": when they were last read with success.", Labels: labels, Value: r.at},
	}
}
