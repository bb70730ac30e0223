package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics is every metric of the bridge.
type Metrics struct {
	Registry *prometheus.Registry
	ours     []prometheus.Collector // in the order of the documentation

	Deliveries *prometheus.CounterVec   // by endpoint and outcome
	Duration   *prometheus.HistogramVec // by endpoint
	Read       prometheus.Observer      // the stages of a delivery
	Verify     prometheus.Observer
	Publish    prometheus.Observer
	Age        *prometheus.HistogramVec // by endpoint
	Accepted   *prometheus.GaugeVec     // by endpoint: when the last one was
	LogDropped prometheus.Counter

	RefusedConns *prometheus.CounterVec // by kind

	Published   *prometheus.CounterVec // by kind, way and outcome
	Possible    *prometheus.CounterVec // possible duplicates, by kind
	Quarantined *prometheus.CounterVec // by endpoint and reason
	Drift       *prometheus.CounterVec // by endpoint
}

// Ours returns the bridge's own metrics, in the order of the documentation.
func (m *Metrics) Ours() []prometheus.Collector { return m.ours }

// Gauge is a metric that is read at each scrape. Value must not wait. Several gauges may share a
// name, with different values of the same labels.
type Gauge struct {
	Name, Help string
	Labels     map[string]string
	Value      func() float64
}

// State is what the gauges read at each scrape. The functions must not wait.
type State struct {
	Connected     func() bool
	Ready         func() bool
	InFlightBytes func() int64
	InFlightMax   int64
	Connections   func() (open int, dropped int64)
	Version       string
}

// NewMetrics returns the metrics in a registry of their own.
func NewMetrics(state State) *Metrics {
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "webhook_bridge_stage_duration_seconds",
		Help:    "Time for the stages of a delivery: read, from the headers to the end of the body; verify, until it is found authentic or not; publish, until it is durable in JetStream or in the spool.",
		Buckets: latencies,
	}, []string{"stage"})
	m := &Metrics{
		Read: stages.WithLabelValues("read"), Verify: stages.WithLabelValues("verify"), Publish: stages.WithLabelValues("publish"),

		Registry: prometheus.NewRegistry(),
		Deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_deliveries_total",
			Help: "Requests to the public listener by outcome: stored, duplicate, spooled and quarantined are answered 200, all others are refused. The endpoint is empty if the path isn't an endpoint's.",
		}, []string{"endpoint", "outcome"}),
		Duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "webhook_bridge_delivery_duration_seconds",
			Help:    "Time from a request's headers to its answer.",
			Buckets: latencies,
		}, []string{"endpoint"}),
		Age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "webhook_bridge_delivery_age_seconds",
			Help:    "Time of arrival minus the vendor's time, for correctly signed deliveries, also refused ones. Below 0 a clock is wrong; a growing age means that the vendor is late or our clock is ahead.",
			Buckets: []float64{-300, -60, -10, -1, 0, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600},
		}, []string{"endpoint"}),
		Accepted: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "webhook_bridge_last_accepted_timestamp_seconds",
			Help: "When the last delivery was accepted.",
		}, []string{"endpoint"}),
		RefusedConns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_refused_connections_total",
			Help: "Connections refused before their request was complete, by kind; the answer is plain text.",
		}, []string{"kind"}),
		LogDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "webhook_bridge_log_dropped_total",
			Help: "Log lines about refused deliveries that were dropped, because there were too many of a kind.",
		}),
		Published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_publishes_total",
			Help: "Attempts to publish to JetStream, directly or from the spool, by outcome.",
		}, []string{"kind", "way", "outcome"}),
		Possible: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_possible_duplicates_total",
			Help: "Messages published from the spool of which the stream may have an older copy, because it could not be looked up.",
		}, []string{"kind"}),
		Quarantined: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_quarantined_total",
			Help: "Deliveries with a correct signature that could not be published and are kept in quarantine.",
		}, []string{"endpoint", "reason"}),
		Drift: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_bridge_payload_drift_total",
			Help: "Accepted deliveries in which a member is missing or of another kind than the vendor documents. They are published all the same; new members don't count.",
		}, []string{"endpoint"}),
	}
	m.register(
		m.Deliveries, m.Duration, stages, m.Age, m.Accepted, m.RefusedConns, m.LogDropped, m.Published, m.Possible, m.Quarantined, m.Drift,
		gauge("webhook_bridge_nats_connected", "Whether there is a connection to NATS.", boolean(state.Connected)),
		gauge("webhook_bridge_ready", "Whether an event can be made durable now.", boolean(state.Ready)),
		gauge("webhook_bridge_in_flight_bytes", "Bytes received and held now.", func() float64 { return float64(state.InFlightBytes()) }),
		gauge("webhook_bridge_in_flight_max_bytes", "MAX_IN_FLIGHT_BYTES.", func() float64 { return float64(state.InFlightMax) }),
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
			Name: "webhook_bridge_build_info", Help: "The version of this build; always 1.",
			ConstLabels: prometheus.Labels{"version": state.Version, "goversion": runtime.Version()},
		}, func() float64 { return 1 }),
	)
	m.Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// latencies are the buckets for whatever should be over within a second.
var latencies = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, .75, 1, 2.5, 5}

func (m *Metrics) register(ours ...prometheus.Collector) {
	m.Registry.MustRegister(ours...)
	m.ours = append(m.ours, ours...)
}

// Watch adds gauges.
func (m *Metrics) Watch(gauges ...Gauge) {
	for _, g := range gauges {
		m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.Name, Help: g.Help, ConstLabels: g.Labels}, g.Value))
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
