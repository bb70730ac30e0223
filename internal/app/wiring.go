package app

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/natsd"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// What each part needs, taken from the configuration.

func embedded(c *config.Config, log *zap.Logger) natsd.Config {
	return natsd.Config{
		Addr: string(c.EmbeddedNATSAddr), Dir: c.DataDir,
		User: c.NATSUser, Password: c.NATSPassword, Token: c.NATSToken, Log: log,
	}
}

// NATSServer is how the bridge and its commands reach NATS at that URL.
func NATSServer(c *config.Config, url, version string) publish.Server {
	return publish.Server{
		Name: "webhook-bridge " + version, URL: url,
		Creds: string(c.NATSCreds), Nkey: string(c.NATSNkey),
		User: c.NATSUser, Password: c.NATSPassword, Token: c.NATSToken,
		CA: string(c.NATSCA), Cert: string(c.NATSCert), Key: string(c.NATSKey),
		InboxPrefix: string(c.NATSInboxPrefix), Domain: string(c.NATSJSDomain),
	}
}

func publishing(c *config.Config, url, version string, log *zap.Logger) publish.Config {
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
	return publish.Config{Server: NATSServer(c, url, version), Stream: stream, Timeout: c.PublishTimeout, Log: log}
}

func ingesting(c *config.Config, publisher ingest.Publisher, observer ingest.Observer) ingest.Config {
	ic := ingest.Config{
		SubjectPrefix: string(c.SubjectPrefix), MaxBodyBytes: int64(c.MaxBodyBytes), MaxInFlightBytes: int64(c.MaxInFlightBytes),
		Publisher: publisher, Observer: observer, Now: time.Now,
	}
	for _, e := range c.Endpoints {
		p, _ := verify.ByName(e.Provider) // the configuration knows no other
		ic.Endpoints = append(ic.Endpoints, ingest.Endpoint{
			Name: e.Name, Provider: p, Scheme: e.Signature, Freshness: e.Freshness, Tolerance: e.Tolerance,
			Secrets: func() []secret.Secret { return e.Secrets },
		})
	}
	return ic
}

// endpointsInWords is what one wants to see of the endpoints in the log.
func endpointsInWords(c *config.Config) []string {
	var words []string
	for _, e := range c.Endpoints {
		words = append(words, fmt.Sprintf("/webhooks/%s: %s, signature %s, tolerance %s, secrets %d", e.Name, e.Provider, e.Signature, e.Tolerance, len(e.Secrets)))
	}
	return words
}
