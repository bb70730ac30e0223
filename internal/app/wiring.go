package app

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// This file maps the configuration to that of each part.

// NATSServer returns how to reach NATS at this URL.
func NATSServer(c *config.Config, url, version string) publish.Server {
	return publish.Server{
		Name: "webhook-bridge " + version, URL: url,
		Creds: c.NATSCreds, Nkey: c.NATSNkey,
		User: c.NATSUser, Password: c.NATSPassword, Token: c.NATSToken,
		CA: c.NATSCA, Cert: c.NATSCert, Key: c.NATSKey, TLSFirst: c.NATSTLSFirst,
		InboxPrefix: c.NATSInboxPrefix, Domain: c.NATSJSDomain,
	}
}

// server returns how the bridge itself reaches NATS. Settings for other servers don't count for the
// embedded one.
func (a *App) server() publish.Server {
	s := NATSServer(a.config, a.natsURL, a.version)
	if a.config.IsEmbedded() {
		s.Creds, s.Nkey, s.CA, s.Cert, s.Key, s.Domain = "", "", "", "", "", ""
	}
	return s
}

// Streams returns the streams that a bridge with this configuration needs: events and quarantine.
func Streams(c *config.Config) (events, kept publish.Stream) {
	events = publish.Stream{
		Name: c.StreamName, Prefix: c.SubjectPrefix, Manage: c.StreamManage,
		Replicas: c.StreamReplicas, MaxAge: c.StreamMaxAge, MaxBytes: int64(c.StreamMaxBytes), Duplicates: c.StreamDuplicates,
	}
	for _, e := range c.Endpoints {
		events.Endpoints = append(events.Endpoints, e.Name)
	}
	events.Explicit.Replicas = c.IsSet("STREAM_REPLICAS")
	events.Explicit.MaxAge = c.IsSet("STREAM_MAX_AGE")
	events.Explicit.MaxBytes = c.IsSet("STREAM_MAX_BYTES")
	events.Explicit.Duplicates = c.IsSet("STREAM_DUPLICATES")
	kept = events
	kept.Name, kept.Prefix, kept.DropOldest = quarantine.Stream(events.Name), quarantine.Prefix(events.Prefix), true
	kept.MaxAge, kept.Explicit.MaxAge = 0, false
	kept.ProtectedReason = quarantine.Unreadable
	kept.MaxBytes, kept.Explicit.MaxBytes = int64(c.QuarantineMaxBytes), c.IsSet("QUARANTINE_MAX_BYTES")
	return events, kept
}

// SpoolDir returns the spool's directory.
func SpoolDir(c *config.Config) string { return filepath.Join(c.DataDir, "spool") }

// spoolShares returns how many bytes of the spool each kind may use; 0 means all. Anybody with one captured
// delivery can fill the quarantine, so the quarantine must not displace events, nor deliveries answered
// 401 those answered 200.
func spoolShares(c *config.Config) (limits [publish.Kinds]int64) {
	limits[publish.Quarantined] = int64(min(c.QuarantineMaxBytes, c.SpoolMaxBytes/4))
	limits[publish.Refused] = limits[publish.Quarantined] / 2
	return limits
}

// reach returns the longest time between the arrivals of two accepted copies of an event.
func reach(c *config.Config) time.Duration {
	longest := time.Duration(0)
	for _, e := range c.Endpoints {
		longest = max(longest, e.Tolerance+e.Vendor.Time.AheadOf(e.Tolerance))
	}
	return longest
}

func ingestConfig(c *config.Config, publisher ingest.Publisher, observer *observer, tracer *telemetry.Tracer) ingest.Config {
	ic := ingest.Config{
		SubjectPrefix: c.SubjectPrefix, Quarantine: c.Quarantine,
		MaxBodyBytes: int64(c.MaxBodyBytes), MaxInFlightBytes: int64(c.MaxInFlightBytes),
		Publisher: publisher, Observe: observer.Observe, Refused: observer.RefusedConn, Tracer: tracer, Now: time.Now,
	}
	for _, e := range c.Endpoints {
		at := Endpoint(e)
		at.Secrets = observer.keyrings[e.Name].current
		ic.Endpoints = append(ic.Endpoints, at)
	}
	return ic
}

// Endpoint returns the endpoint of this configuration.
func Endpoint(e config.Endpoint) verify.Endpoint {
	return verify.Endpoint{
		Name: e.Name, Provider: e.Vendor,
		Scheme: e.Signature, Freshness: e.Freshness, Tolerance: e.Tolerance,
		Secrets: func() []secret.Secret { return e.Secrets },
	}
}

func describeEndpoints(c *config.Config) []string {
	var words []string
	for _, e := range c.Endpoints {
		words = append(words, fmt.Sprintf("/webhooks/%s: %s, signature %s, tolerance %s, secrets %d",
			e.Name, e.Provider, e.Signature, config.FormatDuration(e.Tolerance), len(e.Secrets)))
	}
	return words
}
