package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics holds the metrics that the bridge sets itself, and the registry of all.
type Metrics struct {
	Registry *prometheus.Registry
	Ours     []prometheus.Collector // without those of Go and the process; in the order of docs/metrics.md

	Deliveries *prometheus.CounterVec   // by endpoint and outcome
	Duration   *prometheus.HistogramVec // by endpoint
	Stages     *prometheus.HistogramVec // by stage
	Age        *prometheus.HistogramVec // by endpoint
	Accepted   *prometheus.GaugeVec     // by endpoint: when the last one was
	LogDropped prometheus.Counter

	RefusedConns *prometheus.CounterVec // by kind

	Published   *prometheus.CounterVec // by kind, way and outcome
	Possible    *prometheus.CounterVec // possible duplicates, by kind
	Quarantined *prometheus.CounterVec // by endpoint and reason
	Drift       *prometheus.CounterVec // by endpoint

	Signatures   *prometheus.CounterVec // by endpoint, scheme and the secret's position
	LastVerified *prometheus.GaugeVec   // by endpoint and the secret's position

	// Reloads of files: by endpoint for secrets, without labels for TLS.
	SecretsReloaded, SecretsReloadTime *prometheus.GaugeVec
	TLSReloaded, TLSReloadTime         *prometheus.GaugeVec
	CertificateExpiry                  *prometheus.GaugeVec
}

// prefix begins the name of each metric of the bridge.
const prefix = "webhook_bridge_"

// latencies are the buckets for what should take less than a second.
var latencies = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, .75, 1, 2.5, 5}

// NewMetrics returns the metrics in a registry of their own.
func NewMetrics(version string) *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry()}
	m.Deliveries = m.counter("deliveries_total", "Requests; endpoint is empty for an unknown path.", "endpoint", "outcome")
	m.Duration = m.histogram("delivery_duration_seconds", "Time from a request's headers to its answer.", latencies, "endpoint")
	m.Stages = m.histogram("stage_duration_seconds",
		"Time for each stage: read, until the body is complete; verify; publish, until the event is durable.", latencies, "stage")
	m.Age = m.histogram("delivery_age_seconds",
		"Time of arrival minus the vendor's time, for correctly signed deliveries. A negative age means a wrong clock.",
		[]float64{-300, -60, -10, -1, 0, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600}, "endpoint")
	m.Accepted = m.gauge("last_accepted_timestamp_seconds", "When the last delivery was accepted.", "endpoint")
	m.RefusedConns = m.counter("refused_connections_total", "Connections refused before their request was complete.", "kind")
	m.LogDropped = m.counter("log_dropped_total", "Log lines left out: too many alike, or nobody reads the log.").WithLabelValues()
	m.Published = m.counter("publishes_total", "Attempts to publish to JetStream.", "kind", "way", "outcome")
	m.Possible = m.counter("possible_duplicates_total",
		"Messages from the spool that could not be looked up: the stream may have them already.", "kind")
	m.Quarantined = m.counter("quarantined_total", "Correctly signed deliveries kept in quarantine.", "endpoint", "reason")
	m.Drift = m.counter("payload_drift_total", "Published deliveries in which a documented member is missing or has another type.", "endpoint")
	m.Signatures = m.counter("signatures_verified_total",
		"Correct signatures by scheme and position of the secret; 0 is the current one. When another secret takes a position, its count begins again.",
		"endpoint", "scheme", "secret")
	m.LastVerified = m.gauge("secret_last_verified_timestamp_seconds",
		"When the secret last verified a signature; 0 if it hasn't since the start.", "endpoint", "secret")
	m.SecretsReloaded = m.gauge("secrets_last_reload_successful", "Whether the last reload of the secrets file succeeded.", "endpoint")
	m.SecretsReloadTime = m.gauge("secrets_last_reload_success_timestamp_seconds", "When the secrets file was last reloaded successfully.", "endpoint")
	m.TLSReloaded = m.gauge("tls_last_reload_successful", "Whether the last reload of certificate and key succeeded.")
	m.TLSReloadTime = m.gauge("tls_last_reload_success_timestamp_seconds", "When certificate and key were last reloaded successfully.")
	m.CertificateExpiry = m.gauge("tls_certificate_expiry_timestamp_seconds", "When the certificate in use expires.")
	build := prometheus.Labels{"version": version, "goversion": runtime.Version()}
	m.GaugeFunc("build_info", "The version; always 1.", build, func() float64 { return 1 })
	m.Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func add[C prometheus.Collector](m *Metrics, ours C) C {
	m.Registry.MustRegister(ours)
	m.Ours = append(m.Ours, ours)
	return ours
}

// GaugeFunc adds a gauge that calls value at each scrape, which must not block. Gauges may share a
// name if the values of their labels differ.
func (m *Metrics) GaugeFunc(name, help string, labels prometheus.Labels, value func() float64) {
	add(m, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help, ConstLabels: labels}, value))
}

// CounterFunc adds a counter that calls value at each scrape, which must not block.
func (m *Metrics) CounterFunc(name, help string, value func() float64) {
	add(m, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: prefix + name, Help: help}, value))
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	return add(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels))
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return add(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, labels))
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return add(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets}, labels))
}
