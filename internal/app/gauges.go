package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// addGauges adds the metrics that are read from other parts at each scrape.
func (a *App) addGauges(m *telemetry.Metrics) {
	of := func(name, help string, value func(spool.Stats) float64) {
		m.GaugeFunc("spool_"+name, help, nil, func() float64 { return value(a.spool.Stats()) })
	}
	m.GaugeFunc("nats_connected", "Whether there is a connection to NATS.", nil, func() float64 { return toFloat(a.publisher.IsConnected()) })
	m.GaugeFunc("ready", "Whether an event can be made durable now.", nil, func() float64 { return toFloat(len(a.durability().Reasons) == 0) })
	m.GaugeFunc("in_flight_bytes", "Bytes received and held now.", nil, func() float64 { return float64(a.handler.InFlightBytes()) })
	m.GaugeFunc("in_flight_max_bytes", "MAX_IN_FLIGHT_BYTES.", nil, func() float64 { return float64(a.config.MaxInFlightBytes) })
	m.GaugeFunc("connections", "Connections open on the public listener.", nil, func() float64 {
		open, _ := a.handler.Conns.Connections()
		return float64(open)
	})
	m.CounterFunc("connections_dropped_total", "Connections closed to admit others.", func() float64 {
		_, dropped := a.handler.Conns.Connections()
		return float64(dropped)
	})
	of("bytes", "Bytes of all records, including those set aside.", func(s spool.Stats) float64 { return float64(s.Bytes) })
	of("max_bytes", "SPOOL_MAX_BYTES.", func(spool.Stats) float64 { return float64(a.config.SpoolMaxBytes) })
	of("file_bytes", "Size of the spool's files, which may still hold delivered records.",
		func(s spool.Stats) float64 { return float64(s.FileBytes) })
	of("disk_free_bytes", "Bytes free on the spool's disk.", func(s spool.Stats) float64 { return float64(s.FreeBytes) })
	of("set_aside_events", "Records set aside because NATS refuses them.", func(s spool.Stats) float64 { return float64(s.SetAside) })
	of("writable", "Whether the spool's last write succeeded and its disk isn't full.",
		func(s spool.Stats) float64 { return toFloat(s.IsWritable) })
	for kind := range publish.Kind(publish.Kinds) {
		labels := prometheus.Labels{"kind": kind.String()}
		m.GaugeFunc("spool_events", "Records that wait in the spool for NATS.", labels, func() float64 { return float64(a.spool.Len(kind)) })
		m.GaugeFunc("spool_oldest_age_seconds", "Age of the oldest record that waits, or 0.", labels, func() float64 {
			if oldest := a.spool.Stats().Oldest[kind]; !oldest.IsZero() {
				return time.Since(oldest).Seconds()
			}
			return 0
		})
		for _, cause := range publish.Causes {
			m.GaugeFunc("spool_blocked", "1 for the cause that now prevents delivery.",
				prometheus.Labels{"kind": kind.String(), "cause": string(cause)}, func() float64 { return toFloat(a.relay.Blocked(kind) == cause) })
		}
	}
	for _, state := range []string{"closed", "half-open", "open"} {
		m.GaugeFunc("breaker", "1 for the current state of the circuit breaker.",
			prometheus.Labels{"state": state}, func() float64 { return toFloat(a.relay.Breaker() == state) })
	}
}

func toFloat(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
