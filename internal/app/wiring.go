package app

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/natsd"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// This file maps the configuration to that of each part.

func embedded(c *config.Config, log *zap.Logger) natsd.Config {
	return natsd.Config{
		Addr: string(c.EmbeddedNATSAddr), Dir: c.DataDir,
		User: c.NATSUser, Password: c.NATSPassword, Token: c.NATSToken, Log: log,
	}
}

// NATSServer returns how to reach NATS at that URL.
func NATSServer(c *config.Config, url, version string) publish.Server {
	return publish.Server{
		Name: "webhook-bridge " + version, URL: url,
		Creds: string(c.NATSCreds), Nkey: string(c.NATSNkey),
		User: c.NATSUser, Password: c.NATSPassword, Token: c.NATSToken,
		CA: string(c.NATSCA), Cert: string(c.NATSCert), Key: string(c.NATSKey), TLSFirst: c.NATSTLSFirst,
		InboxPrefix: string(c.NATSInboxPrefix), Domain: string(c.NATSJSDomain),
	}
}

func publishing(c *config.Config, kinds []publish.Kind, url, version string, log *zap.Logger) publish.Config {
	stream := publish.Stream{
		Name: string(c.StreamName), Prefix: string(c.SubjectPrefix), Manage: c.StreamManage,
		Replicas: c.StreamReplicas, MaxAge: c.StreamMaxAge, MaxBytes: int64(c.StreamMaxBytes), Duplicates: c.StreamDuplicates,
	}
	for _, e := range c.Endpoints {
		stream.Endpoints = append(stream.Endpoints, e.Name)
	}
	stream.Explicit.Replicas = c.IsSet("STREAM_REPLICAS")
	stream.Explicit.MaxAge = c.IsSet("STREAM_MAX_AGE")
	stream.Explicit.MaxBytes = c.IsSet("STREAM_MAX_BYTES")
	stream.Explicit.Duplicates = c.IsSet("STREAM_DUPLICATES")
	pc := publish.Config{Server: NATSServer(c, url, version), Stream: stream, Timeout: c.PublishTimeout, Windows: c.DataDir, Log: log}
	if slices.Contains(kinds, publish.Quarantined) { // and refused ones
		q := stream
		q.Name, q.Prefix, q.DropOldest = quarantine.Stream(stream.Name), quarantine.Prefix(stream.Prefix), true
		q.MaxAge, q.Explicit.MaxAge = 0, false
		q.ProtectedReason = quarantine.Unreadable
		q.MaxBytes, q.Explicit.MaxBytes = int64(c.QuarantineMaxBytes), c.IsSet("QUARANTINE_MAX_BYTES")
		pc.Quarantine = &q
	}
	return pc
}

// Streams returns the streams that a bridge with this configuration needs.
func Streams(c *config.Config) []publish.Stream {
	kinds := []publish.Kind{publish.Event}
	if c.Quarantine {
		kinds = append(kinds, publish.Quarantined)
	}
	pc := publishing(c, kinds, "", "", zap.NewNop())
	streams := []publish.Stream{pc.Stream}
	if pc.Quarantine != nil {
		streams = append(streams, *pc.Quarantine)
	}
	return streams
}

// SpoolDir returns the spool's directory.
func SpoolDir(c *config.Config) string { return filepath.Join(c.DataDir, "spool") }

// spoolShares returns how much of the spool each kind may use; 0: all of it. With one captured
// delivery anybody can fill the quarantine, which must not displace events; and deliveries answered
// 401 must not displace those answered 200.
func spoolShares(c *config.Config) (limits [publish.Kinds]int64) {
	limits[publish.Quarantined] = int64(min(c.QuarantineMaxBytes, c.SpoolMaxBytes/4))
	limits[publish.Refused] = limits[publish.Quarantined] / 2
	return limits
}

// Reach returns the longest time between the arrivals of two copies of an event that are both
// accepted.
func Reach(c *config.Config) time.Duration {
	longest := time.Duration(0)
	for _, e := range c.Endpoints {
		longest = max(longest, e.Vendor.Span(e.Tolerance))
	}
	return longest
}

func ingesting(c *config.Config, rings map[string]*keyring, publisher ingest.Publisher, observer *observer, tracer *telemetry.Tracer) ingest.Config {
	ic := ingest.Config{
		SubjectPrefix: string(c.SubjectPrefix), MaxBodyBytes: int64(c.MaxBodyBytes), MaxInFlightBytes: int64(c.MaxInFlightBytes), Quarantine: c.Quarantine,
		Publisher: publisher, Observer: observer, Refused: observer.RefusedConn, Tracer: tracer, Now: time.Now,
	}
	for _, e := range c.Endpoints {
		at := Endpoint(e)
		at.Secrets = rings[e.Name].current
		ic.Endpoints = append(ic.Endpoints, at)
	}
	return ic
}

// Endpoint returns the configured endpoint.
func Endpoint(e config.Endpoint) verify.Endpoint {
	return verify.Endpoint{
		Name: e.Name, Provider: e.Vendor,
		Scheme: e.Signature, Freshness: e.Freshness, Tolerance: e.Tolerance,
		Secrets: func() []secret.Secret { return e.Secrets },
	}
}

// endpointsInWords describes the endpoints for the log.
func endpointsInWords(c *config.Config) []string {
	var words []string
	for _, e := range c.Endpoints {
		words = append(words, fmt.Sprintf("/webhooks/%s: %s, signature %s, tolerance %s, secrets %d", e.Name, e.Provider, e.Signature, e.Tolerance, len(e.Secrets)))
	}
	return words
}
