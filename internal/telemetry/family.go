package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Family is a metric whose series come and go. It is read at each scrape.
type Family struct {
	Name, Help string
	Labels     []string
	Type       prometheus.ValueType
	// Read yields each current series, with its label values in the order of Labels. It must not
	// wait.
	Read func(yield func(value float64, labels ...string))
}

// WatchFamilies adds metrics whose series come and go.
func (m *Metrics) WatchFamilies(families ...Family) {
	for _, f := range families {
		m.register(family{f, prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)})
	}
}

type family struct {
	Family
	desc *prometheus.Desc
}

// Describe makes family a prometheus.Collector.
func (f family) Describe(to chan<- *prometheus.Desc) { to <- f.desc }

// Collect sends every series.
func (f family) Collect(to chan<- prometheus.Metric) {
	f.Read(func(value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(f.desc, f.Type, value, labels...)
	})
}
