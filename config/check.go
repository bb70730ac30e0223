package config

import (
	"crypto/tls"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/filewatch"
	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

var endpointName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// check checks the rules that concern several variables.
func (l *loader) check(c *Config) {
	if len(c.Endpoints) == 0 {
		var variables []string
		for _, p := range providers.All {
			variables = append(variables, p.Variable("SECRETS"))
		}
		l.problems.add(Problem{Variable: strings.Join(variables, ", "), Takes: "the webhook's shared secret in at least one of them: no endpoint is configured (to try the bridge without any, run `bridge demo`)"})
	}
	if c.HTTPAddr == c.AdminAddr && c.HTTPAddr.Port() != 0 {
		l.wrong("ADMIN_ADDR", "another address than HTTP_ADDR's")
	}
	l.checkTLS(c)
	l.checkNATS(c)
	l.checkStream(c)
	l.checkBounds(c)
	l.checkShared(c)
}

// MaxTLSFile is the largest certificate or key file, in bytes.
const MaxTLSFile = 1 << 20

func (l *loader) checkTLS(c *Config) {
	const certificate, key = "a certificate in PEM whose key is in TLS_KEY_FILE", "the key, in PEM, of the certificate in TLS_CERT_FILE"
	switch {
	case !c.set["TLS_CERT_FILE"] && !c.set["TLS_KEY_FILE"]:
		return
	case !c.set["TLS_CERT_FILE"]:
		l.wrong("TLS_CERT_FILE", certificate)
		return
	case !c.set["TLS_KEY_FILE"]:
		l.wrong("TLS_KEY_FILE", key)
		return
	case c.TLSCertFile == "" || c.TLSKeyFile == "": // an unreadable file was reported
		return
	}
	chain, err := filewatch.ReadFile(string(c.TLSCertFile), MaxTLSFile)
	if err != nil {
		l.wrong("TLS_CERT_FILE", fmt.Sprintf("%s (%v)", certificate, err))
		return
	}
	private, err := filewatch.ReadFile(string(c.TLSKeyFile), MaxTLSFile)
	if err != nil {
		l.wrong("TLS_KEY_FILE", fmt.Sprintf("%s (%v)", key, err))
		return
	}
	pair, err := tls.X509KeyPair(chain, private)
	if err != nil {
		l.wrong("TLS_CERT_FILE", fmt.Sprintf("%s (%v)", certificate, err))
		return
	}
	c.Certificate = &pair
}

func (l *loader) checkNATS(c *Config) {
	if !c.NATSPassword.IsEmpty() && c.NATSUser == "" {
		l.wrong("NATS_USER", "the user whose password NATS_PASSWORD is")
	}
	if (c.NATSCert == "") != (c.NATSKey == "") {
		l.wrong("NATS_CERT", "a certificate, together with its key in NATS_KEY")
	}
	if c.NATSTLSFirst && c.IsEmbedded() {
		l.wrong("NATS_TLS_FIRST", "true only with NATS_URL: the embedded server has no TLS")
	}
	secured := !c.NATSToken.IsEmpty() || c.NATSUser != "" && !c.NATSPassword.IsEmpty()
	if c.IsEmbedded() && !c.EmbeddedNATSAddr.IsLoopback() && !secured {
		l.wrong("EMBEDDED_NATS_ADDR", "a loopback address such as 127.0.0.1:4222, unless NATS_TOKEN or NATS_USER and NATS_PASSWORD are set: others could read and write all events")
	}
}

func (l *loader) checkStream(c *Config) {
	if c.StreamReplicas < 1 || c.StreamReplicas > 5 || c.IsEmbedded() && c.StreamReplicas > 1 {
		l.wrong("STREAM_REPLICAS", takesOf(*c, "StreamReplicas"))
	}
	if c.StreamMaxAge < 0 {
		l.wrong("STREAM_MAX_AGE", takesOf(*c, "StreamMaxAge"))
	}
	least := c.minDuplicates()
	if !c.set["STREAM_DUPLICATES"] {
		c.StreamDuplicates = least
	}
	switch {
	case c.StreamDuplicates < least:
		l.wrong("STREAM_DUPLICATES", fmt.Sprintf("at least %s, the longest span in which a delivery is accepted and an hour: otherwise a replay could be stored twice", humanize.Duration(least)))
	case c.StreamMaxAge > 0 && c.StreamDuplicates > c.StreamMaxAge && c.set["STREAM_DUPLICATES"]:
		l.wrong("STREAM_DUPLICATES", fmt.Sprintf("at most STREAM_MAX_AGE, %s: the stream doesn't recognise what it has dropped", humanize.Duration(c.StreamMaxAge)))
	case c.StreamMaxAge > 0 && c.StreamDuplicates > c.StreamMaxAge:
		l.wrong("STREAM_MAX_AGE", fmt.Sprintf("at least %s, the longest span in which a delivery is accepted and an hour: the stream doesn't recognise what it has dropped", humanize.Duration(least)))
	}
}

func (l *loader) checkBounds(c *Config) {
	for _, d := range []struct {
		variable string
		value    time.Duration
		least    time.Duration
	}{
		{"PUBLISH_TIMEOUT", c.PublishTimeout, time.Millisecond},
		{"SPOOL_DRAIN_TIMEOUT", c.SpoolDrainTimeout, 0},
		{"SHUTDOWN_DELAY", c.ShutdownDelay, 0},
		{"SHUTDOWN_TIMEOUT", c.ShutdownTimeout, time.Millisecond},
	} {
		if d.value < d.least {
			l.wrong(d.variable, fmt.Sprintf("a duration of at least %s", humanize.Duration(d.least)))
		}
	}
	if c.MaxBodyBytes < 1 || c.MaxBodyBytes > 64<<20 {
		l.wrong("MAX_BODY_BYTES", takesOf(*c, "MaxBodyBytes"))
	}
	if c.MaxInFlightBytes < 1 {
		l.wrong("MAX_IN_FLIGHT_BYTES", "a size above 0, such as 64MiB")
	}
	if c.SpoolMaxBytes < 1 {
		l.wrong("SPOOL_MAX_BYTES", "a size above 0, such as 1GiB")
	}
	switch least := c.MaxBodyBytes + spooled; {
	case c.QuarantineMaxBytes < 1:
		l.wrong("QUARANTINE_MAX_BYTES", "a size above 0, such as 64MiB")
	case c.Quarantine && c.MaxBodyBytes <= 64<<20 && c.QuarantineMaxBytes < least:
		l.wrong("QUARANTINE_MAX_BYTES", fmt.Sprintf("at least %s, so that a delivery of MAX_BODY_BYTES, %s, fits in it; or set QUARANTINE=false", least, c.MaxBodyBytes))
	}
}

// spooled is roughly what a delivery in the spool or in quarantine needs besides its body.
const spooled = 4 << 10

// doubts warns of settings that are valid but probably a mistake.
func (l *loader) doubts(c *Config) {
	known := Names()
	l.warnOfUnused(c)
	if len(l.problems) == 0 {
		l.warnings = append(l.warnings, Doubts(c.Endpoints)...)
	}
	for variable := range l.vars {
		if slices.Contains(known, generic(variable)) || !looksLikeOurs(variable, known) {
			continue
		}
		l.warn("%s is not a variable of the bridge and has no effect; the nearest one is %s", variable, nearest(generic(variable), known))
	}
	if c.SpoolMaxBytes > 0 && c.SpoolMaxBytes < c.MaxBodyBytes+spooled {
		l.warn("SPOOL_MAX_BYTES is %s: an event of MAX_BODY_BYTES, %s, doesn't fit in it, so that the bridge is never ready without NATS", c.SpoolMaxBytes, c.MaxBodyBytes)
	}
	if c.MaxInFlightBytes > 0 && c.MaxInFlightBytes < 2*c.MaxBodyBytes {
		l.warn("MAX_IN_FLIGHT_BYTES is %s: a body of MAX_BODY_BYTES, %s, and its envelope don't fit in it, so that it is always answered 503", c.MaxInFlightBytes, c.MaxBodyBytes)
	}
	l.warnOfVendors(c)
	for _, p := range providers.All {
		if p.Patience > 0 && c.PublishTimeout > p.Patience*7/10 {
			l.warn("PUBLISH_TIMEOUT is %s: %s, which waits %s for the answer, may give up before", humanize.Duration(c.PublishTimeout), p.Title, humanize.Duration(p.Patience))
		}
	}
	slices.Sort(l.warnings)
}

// warnOfVendors warns of endpoints whose signature doesn't cover the time or the id.
func (l *loader) warnOfVendors(c *Config) {
	for _, e := range c.Endpoints {
		if e.Vendor == nil || e.Vendor.Configure == nil {
			continue
		}
		if e.Signature != verify.Payload {
			l.warn("endpoint %s: no time is signed, so that a replay is stopped by the stream's duplicate window alone, STREAM_DUPLICATES=%s", e.Name, humanize.Duration(c.StreamDuplicates))
		}
		for _, header := range e.Vendor.Unused {
			l.warn("%sEVENT_ID: the header %s isn't in %[1]sSIGNED, so the id is a hash of the signed text", e.prefix, header)
		}
	}
}

// warnOfUnused warns of settings for a provider's own endpoint that is not configured.
func (l *loader) warnOfUnused(c *Config) {
	for _, p := range providers.All {
		prefix := p.Variable("")
		if l.has(prefix+"SECRETS") || l.has(prefix+"SECRETS_FILE") {
			continue
		}
		for _, variable := range Names() {
			if strings.HasPrefix(variable, prefix) && c.set[variable] {
				l.warn("%s has no effect: without %sSECRETS and %[2]sSECRETS_FILE there is no endpoint %s", variable, prefix, p.Name)
			}
		}
	}
}
