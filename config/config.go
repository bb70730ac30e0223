// Package config holds the bridge's environment variables in one documented struct. The checks, the
// help, `bridge config` and the list in docs/configuration.md are made from it.
package config

import (
	"crypto/tls"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// Config has every variable that the bridge reads, except those of endpoints (see [Endpoint]). An
// empty variable counts as unset.
//
// The tags are env, the name; doc, the meaning; and envDefault, the default, or fallback, the default
// in words. The valid values are those of kind, one of [kinds], or the words of oneof. takes describes
// them, if the kind, the words or else the field's type don't say enough.
type Config struct {
	HTTPAddr    string `env:"HTTP_ADDR" kind:"address" envDefault:":8080" doc:"the public listener, for webhooks"`
	AdminAddr   string `env:"ADMIN_ADDR" kind:"address" envDefault:":9090" doc:"the admin listener, for probes and metrics; don't expose it"`
	TLSCertFile string `env:"TLS_CERT_FILE" kind:"file" doc:"certificate chain of the public listener, PEM; reloaded when it changes"`
	TLSKeyFile  string `env:"TLS_KEY_FILE" kind:"file" doc:"key of TLS_CERT_FILE, PEM; reloaded when it changes"`

	NATSURL         string        `env:"NATS_URL" kind:"servers" fallback:"an embedded nats-server" doc:"the NATS servers"`
	NATSCreds       string        `env:"NATS_CREDS" kind:"credentials" doc:"credentials file (JWT and seed)"`
	NATSNkey        string        `env:"NATS_NKEY" kind:"seed" doc:"nkey seed file"`
	NATSUser        string        `env:"NATS_USER" doc:"user name"`
	NATSPassword    secret.Secret `env:"NATS_PASSWORD" doc:"password of NATS_USER"`
	NATSToken       secret.Secret `env:"NATS_TOKEN" doc:"token"`
	NATSCA          string        `env:"NATS_CA" kind:"authorities" doc:"certificate authorities of the servers, PEM"`
	NATSCert        string        `env:"NATS_CERT" kind:"file" doc:"client certificate, PEM"`
	NATSKey         string        `env:"NATS_KEY" kind:"file" doc:"key of NATS_CERT, PEM"`
	NATSTLSFirst    bool          `env:"NATS_TLS_FIRST" envDefault:"false" doc:"begin with the TLS handshake, for servers with handshake_first"`
	NATSInboxPrefix string        `env:"NATS_INBOX_PREFIX" kind:"subject" envDefault:"_INBOX" doc:"prefix of the subjects on which NATS answers"`
	NATSJSDomain    string        `env:"NATS_JS_DOMAIN" kind:"domain" doc:"JetStream domain, for a leaf node"`

	EmbeddedNATSAddr string `env:"EMBEDDED_NATS_ADDR" kind:"address" envDefault:"127.0.0.1:4222" doc:"address of the embedded nats-server; one that isn't loopback needs NATS_TOKEN or NATS_USER and NATS_PASSWORD"`
	DataDir          string `env:"DATA_DIR" kind:"directory" envDefault:"./data" doc:"directory of the spool and of the embedded server's store; each instance needs its own"`

	SubjectPrefix    string        `env:"SUBJECT_PREFIX" kind:"subject" envDefault:"webhooks" doc:"events go to {prefix}.{endpoint}.{event}"`
	StreamName       string        `env:"STREAM_NAME" kind:"stream" envDefault:"WEBHOOKS" doc:"the JetStream stream on {prefix}.>"`
	StreamManage     bool          `env:"STREAM_MANAGE" envDefault:"true" doc:"create a missing stream, and apply the STREAM_ variables that are set, unless the stream would shrink"`
	StreamReplicas   int           `env:"STREAM_REPLICAS" envDefault:"1" takes:"1 to 5, or 1 without NATS_URL" doc:"copies of the stream in a NATS cluster"`
	StreamMaxAge     time.Duration `env:"STREAM_MAX_AGE" envDefault:"168h" takes:"a duration such as 168h or 7d, or 0s for no limit" doc:"how long the stream keeps an event"`
	StreamMaxBytes   Size          `env:"STREAM_MAX_BYTES" fallback:"no limit" doc:"largest size of the stream; when it is full, new events wait in the spool"`
	StreamDuplicates time.Duration `env:"STREAM_DUPLICATES" fallback:"how long a delivery is accepted + 1h" doc:"how long the stream recognises a repeated event"`

	PublishTimeout    time.Duration `env:"PUBLISH_TIMEOUT" envDefault:"400ms" doc:"how long to wait for JetStream's acknowledgement"`
	SpoolMaxBytes     Size          `env:"SPOOL_MAX_BYTES" envDefault:"1GiB" doc:"how much the spool holds while NATS is away"`
	SpoolDrainTimeout time.Duration `env:"SPOOL_DRAIN_TIMEOUT" envDefault:"0s" doc:"how long a shutdown goes on delivering the spool, beyond SHUTDOWN_TIMEOUT"`

	Quarantine         bool `env:"QUARANTINE" envDefault:"true" doc:"keep correctly signed deliveries that can't be published"`
	QuarantineMaxBytes Size `env:"QUARANTINE_MAX_BYTES" envDefault:"64MiB" doc:"largest size of the quarantine; the oldest are removed first"`

	MaxBodyBytes     Size `env:"MAX_BODY_BYTES" envDefault:"512KiB" takes:"a size from 1 to 64MiB, such as 512KiB" doc:"largest body"`
	MaxInFlightBytes Size `env:"MAX_IN_FLIGHT_BYTES" envDefault:"64MiB" doc:"most bytes received and held at one time"`

	ShutdownDelay   time.Duration `env:"SHUTDOWN_DELAY" envDefault:"0s" doc:"how long to go on accepting after SIGTERM, until load balancers notice"`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"25s" doc:"how long a shutdown may take after SHUTDOWN_DELAY"`

	LogLevel  string `env:"LOG_LEVEL" envDefault:"info" oneof:"debug info warn error" doc:"lowest level that is logged"`
	LogFormat string `env:"LOG_FORMAT" envDefault:"json" oneof:"json console" doc:"form of the log, for machines or for people"`
	PPROF     bool   `env:"PPROF" envDefault:"false" doc:"serve profiles at /debug/pprof/ on ADMIN_ADDR"`

	OTLPEndpoint       string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" kind:"URL" doc:"OpenTelemetry collector for spans; without it there is no tracing"`
	OTLPTracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" kind:"URL" fallback:"OTEL_EXPORTER_OTLP_ENDPOINT and /v1/traces" doc:"the collector's URL for spans, with the whole path"`
	OTLPProtocol       string `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf" takes:"http/protobuf" doc:"how spans are sent"`
	OTELTracesExporter string `env:"OTEL_TRACES_EXPORTER" envDefault:"otlp" oneof:"otlp none" doc:"where spans go"`
	OTELDisabled       bool   `env:"OTEL_SDK_DISABLED" envDefault:"false" doc:"turn tracing off"`
	TrustTraceparent   bool   `env:"TRUST_TRACEPARENT" envDefault:"false" doc:"continue the trace of the traceparent header; only behind a proxy that sets or removes it"`

	// Endpoints has the default endpoints whose secrets are set, then the further ones by number.
	Endpoints []Endpoint `env:"-"`

	// Certificate is that of TLS_CERT_FILE, with its key; nil without TLS.
	Certificate *tls.Certificate `env:"-"`

	set map[string]bool // the variables that are set and not empty
}

// Endpoint is one path of the public listener. The variables of a provider's default endpoint begin
// with its name (<PROVIDER>_SECRETS), those of further ones with ENDPOINTS_ and a number.
type Endpoint struct {
	Name        string          `env:"NAME" kind:"endpoint" doc:"name in the path, in subjects and in metrics"`
	Provider    string          `env:"PROVIDER" kind:"provider" doc:"whose webhooks it receives"`
	Secrets     []secret.Secret `env:"SECRETS" doc:"the shared secrets, comma-separated, the current one first"`
	SecretsFile string          `env:"SECRETS_FILE" kind:"file" doc:"file with the shared secrets, one a line, the current one first; reloaded when it changes"`
	Signature   string          `env:"SIGNATURE" doc:"what the signature covers; see docs/providers.md#which-scheme"`
	Tolerance   time.Duration   `env:"TOLERANCE" takes:"a duration above 0, such as 5m, 24h or 7d, at most 3650d" doc:"how old a delivery may be"`
	Freshness   string          `env:"FRESHNESS" doc:"which times must be recent (signed: the unsigned time and the signed createdAt; time: the unsigned time alone)"`

	// Settings describe the vendor, if the provider takes them. Unset ones are the provider's.
	verify.Settings

	// Vendor is the provider with these settings; nil if something is wrong with them.
	Vendor *verify.Provider `env:"-"`

	prefix string // of the names of its variables
}

// isDefault reports whether it is the default endpoint of its provider.
func (e *Endpoint) isDefault() bool { return !strings.HasPrefix(e.prefix, "ENDPOINTS_") }

// IsSet reports whether the variable is set and not empty.
func (c *Config) IsSet(variable string) bool { return c.set[variable] }

// IsEmbedded reports whether the bridge runs its own nats-server.
func (c *Config) IsEmbedded() bool { return c.NATSURL == "" }

// LargestRecord returns roughly what a delivery of MAX_BODY_BYTES takes in the spool or quarantine.
func (c *Config) LargestRecord() Size { return c.MaxBodyBytes + 4<<10 }

// SpansURL returns where spans are sent; "" if tracing is off.
func (c *Config) SpansURL() string {
	switch {
	case c.OTELDisabled || c.OTELTracesExporter == "none":
		return ""
	case c.OTLPTracesEndpoint != "":
		return c.OTLPTracesEndpoint
	case c.OTLPEndpoint != "":
		return strings.TrimSuffix(c.OTLPEndpoint, "/") + "/v1/traces"
	}
	return ""
}

// windowMargin is how much longer the stream's duplicate window must be than the time in which a
// delivery is accepted. It includes the five minutes by which a vendor's clock may be ahead.
const windowMargin = time.Hour

// minDuplicates returns the shortest duplicate window with which no replay is stored twice. If a
// vendor's time may lie as far ahead as behind, a delivery is accepted for twice the tolerance.
// Without endpoints the defaults of all providers count. tolerance is the variable that decides.
func (c *Config) minDuplicates() (window time.Duration, tolerance string) {
	endpoints := c.Endpoints
	if len(endpoints) == 0 {
		for _, p := range providers.All {
			endpoints = append(endpoints, Endpoint{Vendor: p, Tolerance: p.Time.Tolerance, prefix: p.Variable("")})
		}
	}
	for _, e := range endpoints {
		span := e.Tolerance
		if e.Vendor != nil && e.Vendor.Time.Ahead == 0 {
			span *= 2
		}
		if span+windowMargin > window {
			window, tolerance = span+windowMargin, e.Variable("TOLERANCE")
		}
	}
	return window, tolerance
}
