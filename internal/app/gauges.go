package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// gauge returns a gauge that calls value at each scrape, which must not block. Gauges may share a
// name if the values of their labels differ.
func gauge(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "webhook_bridge_" + name, Help: help, ConstLabels: labels}, value)
}

func (a *App) gauges() []prometheus.Collector {
	of := func(name, help string, value func(spool.Stats) float64) prometheus.Collector {
		return gauge("spool_"+name, help, nil, func() float64 { return value(a.spool.Stats()) })
	}
	all := []prometheus.Collector{
		gauge("nats_connected", "Whether there is a connection to NATS.", nil, func() float64 { return toFloat(a.publisher.IsConnected()) }),
		gauge("ready", "Whether an event can be made durable now.", nil, func() float64 { return toFloat(len(a.durability().Reasons) == 0) }),
		gauge("in_flight_bytes", "Bytes received and held now.", nil, func() float64 { return float64(a.handler.InFlightBytes()) }),
		gauge("in_flight_max_bytes", "MAX_IN_FLIGHT_BYTES.", nil, func() float64 { return float64(a.config.MaxInFlightBytes) }),
		gauge("connections", "Connections open on the public listener.", nil, func() float64 {
			open, _ := a.handler.Conns.Connections()
			return float64(open)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "webhook_bridge_connections_dropped_total",
			Help: "Connections closed to admit others.",
		}, func() float64 {
			_, dropped := a.handler.Conns.Connections()
			return float64(dropped)
		}),
		of("bytes", "Bytes of all records, with those set aside.", func(s spool.Stats) float64 { return float64(s.Bytes) }),
		of("max_bytes", "SPOOL_MAX_BYTES.", func(spool.Stats) float64 { return float64(a.config.SpoolMaxBytes) }),
		of("file_bytes", "Size of the spool's files; they may still hold delivered records.",
			func(s spool.Stats) float64 { return float64(s.FileBytes) }),
		of("disk_free_bytes", "Bytes free on the spool's disk.", func(s spool.Stats) float64 { return float64(s.FreeBytes) }),
		of("set_aside_events", "Records set aside because NATS refuses them.", func(s spool.Stats) float64 { return float64(s.SetAside) }),
		of("writable", "Whether the spool's last write succeeded, and its disk isn't full.",
			func(s spool.Stats) float64 { return toFloat(s.IsWritable) }),
	}
	for kind := range publish.Kind(publish.Kinds) {
		labels := prometheus.Labels{"kind": kind.String()}
		all = append(all,
			gauge("spool_events", "Records that wait in the spool for NATS.", labels, func() float64 { return float64(a.spool.Len(kind)) }),
			gauge("spool_oldest_age_seconds", "Age of the oldest record that waits, or 0.", labels, func() float64 {
				if oldest := a.spool.Stats().Oldest[kind]; !oldest.IsZero() {
					return time.Since(oldest).Seconds()
				}
				return 0
			}))
		for _, cause := range publish.Causes {
			all = append(all, gauge("spool_blocked", "1 for the cause that now prevents delivery.",
				prometheus.Labels{"kind": kind.String(), "cause": string(cause)}, func() float64 { return toFloat(a.relay.Blocked(kind) == cause) }))
		}
	}
	for _, state := range []string{"closed", "half-open", "open"} {
		all = append(all, gauge("breaker", "1 for the current state of the circuit breaker.",
			prometheus.Labels{"state": state}, func() float64 { return toFloat(a.relay.Breaker() == state) }))
	}
	return all
}

func toFloat(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
