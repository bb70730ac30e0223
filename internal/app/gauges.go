package app

import (
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// spoolGauges returns the gauges of the spool and of its delivery to NATS.
func spoolGauges(s *spool.Spool, r *relay.Relay, maxBytes int64, now func() time.Time) []telemetry.Gauge {
	of := func(name, help string, value func(spool.Stats) float64) telemetry.Gauge {
		return telemetry.Gauge{Name: "webhook_bridge_spool_" + name, Help: help, Value: func() float64 { return value(s.Stats()) }}
	}
	gauges := []telemetry.Gauge{
		of("bytes", "Bytes of the records in the spool, including those set aside.", func(s spool.Stats) float64 { return float64(s.Bytes) }),
		of("max_bytes", "SPOOL_MAX_BYTES.", func(spool.Stats) float64 { return float64(maxBytes) }),
		of("file_bytes", "Size of the spool's files, which may include delivered records.", func(s spool.Stats) float64 { return float64(s.FileBytes) }),
		of("disk_free_bytes", "Bytes free on the spool's disk.", func(s spool.Stats) float64 { return float64(s.FreeBytes) }),
		of("set_aside_events", "Records set aside because NATS refuses them; they are retried every minute.", func(s spool.Stats) float64 { return float64(s.SetAside) }),
		of("writable", "Whether the spool's last write succeeded.", func(s spool.Stats) float64 { return number(s.Err == nil) }),
	}
	for kind := range publish.Kind(publish.Kinds) {
		labels := map[string]string{"kind": kind.String()}
		gauges = append(gauges,
			telemetry.Gauge{
				Name: "webhook_bridge_spool_events", Help: "Records that wait in the spool for NATS.", Labels: labels,
				Value: func() float64 { return float64(s.Len(kind)) },
			},
			telemetry.Gauge{
				Name: "webhook_bridge_spool_oldest_age_seconds", Help: "Age of the oldest record that waits; 0 if none waits.", Labels: labels,
				Value: func() float64 {
					if oldest := s.Stats().Oldest[kind]; !oldest.IsZero() {
						return now().Sub(oldest).Seconds()
					}
					return 0
				},
			})
		for _, cause := range publish.Causes {
			gauges = append(gauges, telemetry.Gauge{
				Name: "webhook_bridge_spool_blocked", Help: "1 for the cause, if any, for which delivery from the spool fails now.",
				Labels: map[string]string{"kind": kind.String(), "cause": string(cause)},
				Value:  func() float64 { return number(r.Blocked(kind) == cause) },
			})
		}
	}
	for _, state := range []string{"closed", "half-open", "open"} {
		gauges = append(gauges, telemetry.Gauge{
			Name: "webhook_bridge_breaker", Help: "1 for the current state of the breaker of direct publishing.", Labels: map[string]string{"state": state},
			Value: func() float64 { return number(r.Breaker() == state) },
		})
	}
	return gauges
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
