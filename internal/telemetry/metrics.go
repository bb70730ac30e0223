package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics is every metric of the bridge.
type Metrics struct {
	Registry *prometheus.Registry

	Deliveries *prometheus.CounterVec   // by endpoint and outcome
	Duration   *prometheus.HistogramVec // by endpoint
	Verified   *prometheus.CounterVec   // by endpoint, scheme and the secret's position
	Accepted   *prometheus.GaugeVec     // by endpoint: when the last one was
	LogDropped prometheus.Counter

	Published   *prometheus.CounterVec // by kind, way and outcome
	Possible    *prometheus.CounterVec // possible duplicates, by kind
	Quarantined *prometheus.CounterVec // by endpoint and reason
}

// Gauge is a metric that is read when it is asked for. Value must not wait. Several gauges may have one
// name, with other values of the same labels.
type Gauge struct {
	Name, Help string
	Labels     map[string]string
	Value      func() float64
}

// State is what the gauges read when they are asked. The functions must not wait.
type State struct {
	Connected     func() bool
	Ready         func() bool
	InFlightBytes func() int64
	Connections   func() (open int, dropped int64)
	Version       string
}

// NewMetrics returns the metrics in a registry of their own.
func NewMetrics(state State) *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		Deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_deliveries_total",
			Help: "Requests to the public listener by what became of them: stored, duplicate, spooled and quarantined are answered 200, all else is refused. The endpoint is empty where the path is no endpoint's.",
		}, []string{"endpoint", "outcome"}),
		Duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "webhook_bridge_delivery_duration_seconds",
			Help:    "Time from a request's headers to its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, .75, 1, 2.5, 5},
		}, []string{"endpoint"}),
		Verified: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_signatures_verified_total",
			Help: "Right signatures by what they covered and by the secret that verified them: 0 is the current one.",
		}, []string{"endpoint", "scheme", "secret"}),
		Accepted: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "webhook_bridge_last_accepted_timestamp_seconds",
			Help: "When the last delivery was accepted.",
		}, []string{"endpoint"}),
		LogDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "webhook_bridge_log_dropped_total",
			Help: "Lines about refused deliveries that were not logged, because there were too many alike.",
		}),
		Published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_publishes_total",
			Help: "Attempts to publish to JetStream, directly or from the spool, by what came of each.",
		}, []string{"kind", "way", "outcome"}),
		Possible: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_possible_duplicates_total",
			Help: "Messages published from the spool of which an older copy may be stored that could not be looked up.",
		}, []string{"kind"}),
		Quarantined: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_quarantined_total",
			Help: "Deliveries that bear a right signature, could not be published, and are kept in quarantine.",
		}, []string{"endpoint", "reason"}),
	}
	m.Registry.MustRegister(
		m.Deliveries, m.Duration, m.Verified, m.Accepted, m.LogDropped, m.Published, m.Possible, m.Quarantined,
		gauge("webhook_bridge_nats_connected", "Whether there is a connection to NATS.", boolean(state.Connected)),
		gauge("webhook_bridge_ready", "Whether an event can be made durable now.", boolean(state.Ready)),
		gauge("webhook_bridge_in_flight_bytes", "Bytes received and held now.", func() float64 { return float64(state.InFlightBytes()) }),
		gauge("webhook_bridge_connections", "Connections open on the public listener.", func() float64 {
			open, _ := state.Connections()
			return float64(open)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "webhook_bridge_connections_dropped_total",
			Help: "Connections closed to admit others, because too many were open.",
		}, func() float64 {
			_, dropped := state.Connections()
			return float64(dropped)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "webhook_bridge_build_info", Help: "Which build this is; always 1.",
			ConstLabels: prometheus.Labels{"version": state.Version, "goversion": runtime.Version()},
		}, func() float64 { return 1 }),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Watch adds gauges.
func (m *Metrics) Watch(gauges ...Gauge) {
	for _, g := range gauges {
		m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.Name, Help: g.Help, ConstLabels: g.Labels}, g.Value))
	}
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

func boolean(f func() bool) func() float64 {
	return func() float64 {
		if f() {
			return 1
		}
		return 0
	}
}
