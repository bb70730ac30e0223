package config

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// check checks what depends on several variables.
func (l *loader) check(c *Config) {
	if len(c.Endpoints) == 0 {
		var variables []string
		for _, p := range providers.All {
			variables = append(variables, p.Variable("SECRETS"))
		}
		l.problems = append(l.problems, Problem{Message: "no endpoint is configured: set " + strings.Join(variables, " or ") +
			" to the webhook's shared secret, or the variables ENDPOINTS_0_… of another vendor; or run `bridge demo`"})
	}
	if !c.set["STREAM_DUPLICATES"] {
		c.StreamDuplicates, _ = c.minDuplicates()
	}
	l.checkRules(c)
	c.Certificate = l.loadPair("TLS_CERT_FILE", "TLS_KEY_FILE")
	l.loadPair("NATS_CERT", "NATS_KEY")
	l.checkShared(c)
}

const maxBody = 64 << 20

// checkRules checks the bounds of variables, and rules about several of them.
func (l *loader) checkRules(c *Config) {
	window, tolerance := c.minDuplicates()
	atLeast := fmt.Sprintf("takes at least %s, an hour longer than a delivery is accepted (%s): ", FormatDuration(window), tolerance)
	forgets := c.StreamMaxAge > 0 && c.StreamDuplicates > c.StreamMaxAge
	embedded := !c.set["NATS_URL"] // a wrong NATS_URL is set, too
	secured := !c.NATSToken.IsEmpty() || c.NATSUser != "" && !c.NATSPassword.IsEmpty()
	const samePort = "they can't listen on the same port: change one of them"
	protocol := "OTEL_EXPORTER_OTLP_PROTOCOL"
	if l.vars["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] != "" {
		protocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" // it comes first
	}
	for _, rule := range []struct {
		variable string
		holds    bool
		message  string // "": what the variable takes
	}{
		{"HTTP_ADDR and ADMIN_ADDR", !collide(c.HTTPAddr, c.AdminAddr), samePort},
		{"HTTP_ADDR and EMBEDDED_NATS_ADDR", !embedded || !collide(c.HTTPAddr, c.EmbeddedNATSAddr), samePort},
		{"ADMIN_ADDR and EMBEDDED_NATS_ADDR", !embedded || !collide(c.AdminAddr, c.EmbeddedNATSAddr), samePort},
		{
			"NATS_URL", !strings.Contains(c.NATSURL, "@") || c.NATSUser == "" && c.NATSNkey == "" && c.NATSToken.IsEmpty(),
			"it has a user or token, and NATS_USER, NATS_NKEY or NATS_TOKEN is set too, which would be ignored: keep one of the two",
		},
		{"NATS_USER", c.NATSPassword.IsEmpty() || c.NATSUser != "", "NATS_PASSWORD is set and needs the name of its user"},
		{"NATS_NKEY", c.NATSNkey == "" || c.NATSCreds == "", "NATS_CREDS is set too: keep one of the two"},
		{
			"SUBJECT_PREFIX and NATS_INBOX_PREFIX", c.SubjectPrefix == "" || !slices.ContainsFunc([]string{".", "-quarantine.", "-dead."}, func(ours string) bool {
				return strings.HasPrefix(c.NATSInboxPrefix+".", c.SubjectPrefix+ours)
			}),
			"a stream would store NATS' replies: set prefixes such as webhooks and _INBOX",
		},
		{"NATS_TLS_FIRST", !c.NATSTLSFirst || !embedded, "the embedded server has no TLS: set NATS_URL, or leave this out"},
		{
			"EMBEDDED_NATS_ADDR", !embedded || IsLoopback(c.EmbeddedNATSAddr) || secured,
			"others could read and write all events: set a loopback address such as 127.0.0.1:4222, " +
				"or NATS_TOKEN, or NATS_USER and NATS_PASSWORD",
		},
		{"STREAM_REPLICAS", c.StreamReplicas >= 1 && c.StreamReplicas <= 5 && (c.StreamReplicas == 1 || !embedded), ""},
		{"STREAM_MAX_AGE", c.StreamMaxAge >= 0, ""},
		{"STREAM_DUPLICATES", c.StreamDuplicates >= window, atLeast + "otherwise a replay could be stored twice"},
		{
			"STREAM_DUPLICATES", !forgets || !c.set["STREAM_DUPLICATES"],
			fmt.Sprintf("takes at most STREAM_MAX_AGE, %s: the stream doesn't recognise what it has dropped", FormatDuration(c.StreamMaxAge)),
		},
		{"STREAM_MAX_AGE", !forgets || c.set["STREAM_DUPLICATES"], atLeast + "the stream doesn't recognise what it has dropped"},
		{"PUBLISH_TIMEOUT", c.PublishTimeout >= time.Millisecond, "takes a duration of at least 1ms"},
		{"SPOOL_DRAIN_TIMEOUT", c.SpoolDrainTimeout >= 0, "takes a duration of at least 0s"},
		{"SHUTDOWN_DELAY", c.ShutdownDelay >= 0, "takes a duration of at least 0s"},
		{"SHUTDOWN_TIMEOUT", c.ShutdownTimeout >= time.Millisecond, "takes a duration of at least 1ms"},
		{"MAX_BODY_BYTES", c.MaxBodyBytes >= 1 && c.MaxBodyBytes <= maxBody, ""},
		{"MAX_IN_FLIGHT_BYTES", c.MaxInFlightBytes >= 1, "takes a size above 0, such as 64MiB"},
		{"SPOOL_MAX_BYTES", c.SpoolMaxBytes >= 1, "takes a size above 0, such as 1GiB"},
		{"QUARANTINE_MAX_BYTES", c.QuarantineMaxBytes >= 1, "takes a size above 0, such as 64MiB"},
		{
			"QUARANTINE_MAX_BYTES", !c.Quarantine || c.MaxBodyBytes < 1 || c.MaxBodyBytes > maxBody || c.QuarantineMaxBytes >= c.LargestRecord(),
			fmt.Sprintf("takes at least %s, so that a delivery of MAX_BODY_BYTES, %s, fits in it; or set QUARANTINE=false",
				c.LargestRecord(), c.MaxBodyBytes),
		},
		{
			"OTEL_SDK_DISABLED", !c.OTELDisabled || strings.EqualFold(l.vars["OTEL_SDK_DISABLED"], "true"),
			"takes true or false: OpenTelemetry takes any other value for false",
		},
		{protocol, c.SpansURL() == "" || cmp.Or(l.vars[protocol], c.OTLPProtocol) == "http/protobuf", "takes http/protobuf"},
	} {
		if !rule.holds {
			l.wrong(rule.variable, rule.message)
		}
	}
}

// MaxTLSFile is the largest size of a certificate or key file, in bytes.
const MaxTLSFile = 1 << 20

// loadPair returns the certificate of the files in two variables; nil if they aren't set or can't be used.
func (l *loader) loadPair(certVariable, keyVariable string) *tls.Certificate {
	certFile, keyFile := l.vars[certVariable], l.vars[keyVariable]
	switch takes := "takes a certificate in PEM whose key is in " + keyVariable; {
	case certFile == "" && keyFile == "":
	case keyFile == "":
		l.wrong(keyVariable, "takes the key, in PEM, of the certificate in "+certVariable)
	case certFile == "":
		l.wrong(certVariable, takes)
	case !l.isWrong(certVariable) && !l.isWrong(keyVariable):
		chain, unreadable := fileio.Read(certFile, MaxTLSFile)
		key, unreadableKey := fileio.Read(keyFile, MaxTLSFile)
		pair, err := tls.X509KeyPair(chain, key)
		if err = cmp.Or(unreadable, unreadableKey, err); err == nil {
			return &pair
		}
		l.wrong(certVariable, fmt.Sprintf("%s (%v)", takes, err))
	}
	return nil
}

// literal matches the variables in which white space around the value counts.
var literal = regexp.MustCompile(`^NATS_(USER|PASSWORD|TOKEN)$|^ENDPOINTS_[0-9]+_(SIGNED|SIGNATURE_FORMAT)$`)

// addWarnings warns of settings that are valid but probably a mistake.
func (l *loader) addWarnings(c *Config) {
	l.warnOfNames(c)
	if c.MaxInFlightBytes > 0 && c.MaxInFlightBytes < 2*c.MaxBodyBytes {
		l.warn("MAX_IN_FLIGHT_BYTES is %s: a body of MAX_BODY_BYTES, %s, and its envelope don't fit in it, so it is always answered 503",
			c.MaxInFlightBytes, c.MaxBodyBytes)
	}
	if c.SpoolMaxBytes > 0 && c.SpoolMaxBytes < c.LargestRecord() {
		l.warn("SPOOL_MAX_BYTES is %s: a body of MAX_BODY_BYTES, %s, and its envelope don't fit in it, so it is answered 503 "+
			"while NATS is away", c.SpoolMaxBytes, c.MaxBodyBytes)
	}
	if c.PublishTimeout > 600*time.Millisecond { // the answer takes up to 400 ms more
		l.warn("PUBLISH_TIMEOUT is %s: while NATS doesn't answer, a delivery may be answered after more than a second, "+
			"when its sender has given up", FormatDuration(c.PublishTimeout))
	}
	for _, variable := range []string{"NATS_CREDS", "NATS_NKEY", "NATS_CA", "NATS_CERT", "NATS_KEY", "NATS_JS_DOMAIN"} {
		if c.set[variable] && !c.set["NATS_URL"] {
			l.warn("%s is for the servers at NATS_URL, which isn't set: the bridge runs an embedded nats-server", variable)
		}
	}
	for variable, value := range l.vars {
		if literal.MatchString(variable) && strings.TrimSpace(value) != value {
			l.warn("%s has white space around it, which counts as a part of it: a file or a Kubernetes Secret may end with a line break", variable)
		}
	}
	l.warnOfVendors(c)
	slices.Sort(l.warnings)
}

// warnOfVendors warns of endpoints whose signature doesn't cover the time or the id.
func (l *loader) warnOfVendors(c *Config) {
	for _, e := range c.Endpoints {
		if e.Name == "" || e.Vendor == nil || !e.Vendor.HasSettings() {
			continue
		}
		if e.Signature != verify.Payload {
			l.warn("endpoint %s: no time is signed, so only the stream's duplicate window stops a replay (STREAM_DUPLICATES=%s)",
				e.Name, FormatDuration(c.StreamDuplicates))
		}
		for _, header := range e.Vendor.Ignored {
			l.warn("%sEVENT_ID: the header %s isn't in %[1]sSIGNED, so the id is a hash of the signed text", e.prefix, header)
		}
	}
}

// warnOfNames warns of variables that look like one of ours, or like those of a vendor that needs an
// endpoint of its own.
func (l *loader) warnOfNames(c *Config) {
	prefixOf := func(name string) string { return (&verify.Provider{Name: name}).Variable("") }
	ofPresets := make(map[string]bool)
	var others []string
	for _, e := range c.Endpoints {
		others = append(others, prefixOf(e.Name))
	}
	for _, p := range providers.Presets {
		others = append(others, prefixOf(p.Name))
		// With an endpoint, its own variable may refer to this one, as $(OTHER_SECRETS) in Kubernetes.
		hasEndpoint := slices.ContainsFunc(c.Endpoints, func(e Endpoint) bool { return e.Provider == p.Name })
		for _, name := range []string{"SECRETS", "SECRETS_FILE"} {
			variable := prefixOf(p.Name) + name
			ofPresets[variable] = true
			if c.set[variable] && !hasEndpoint && p.Source != "" {
				l.warn("%s is not a variable of the bridge and has no effect; for %s, set ENDPOINTS_<i>_PROVIDER=%s and ENDPOINTS_<i>_%s",
					variable, p.Title, p.Name, name)
			}
		}
	}
	known := Names()
	others = slices.DeleteFunc(others, func(prefix string) bool { // an endpoint may be named nats
		return slices.ContainsFunc(known, func(ours string) bool { return strings.HasPrefix(ours, prefix) })
	})
	for variable := range c.set {
		if !ofPresets[variable] && !slices.Contains(known, documentedName(variable)) && looksLikeOurs(variable, known, others) && !l.isWrong(variable) {
			ours := nearestVariable(variable, known)
			if i := digits.FindString(variable); i != "" {
				ours = strings.Replace(ours, "<i>", i, 1)
			}
			l.warn("%s is not a variable of the bridge and has no effect; the nearest one is %s", variable, ours)
		}
	}
}

// SecretsVariable returns the variable that holds the endpoint's secrets.
func (e *Endpoint) SecretsVariable() string {
	if e.SecretsFile != "" {
		return e.prefix + "SECRETS_FILE"
	}
	return e.prefix + "SECRETS"
}

// Shared is a pair of endpoints that share a secret.
type Shared struct{ A, B *Endpoint }

// IsAllowed reports whether both endpoints have the same provider and scheme, SIGNED included.
// Otherwise a delivery that was signed for one could be sent to the other and mean something else
// there.
func (s Shared) IsAllowed() bool {
	// Case is ignored because header names in SIGNED have none. If other text in it differs in case alone,
	// this does no harm: no delivery fits both endpoints.
	return s.A.Provider == s.B.Provider && s.A.Signature == s.B.Signature && strings.EqualFold(s.A.Signed, s.B.Signed)
}

func (s Shared) String() string {
	return fmt.Sprintf("endpoints %s (%s) and %s (%s) share a secret", s.A.Name, s.A.SecretsVariable(), s.B.Name, s.B.SecretsVariable())
}

// FindShared returns the pairs of endpoints that share a secret.
func FindShared(endpoints []Endpoint) (all []Shared) {
	for b := range endpoints {
		for a := range b {
			isIn := func(s secret.Secret) bool { return slices.ContainsFunc(endpoints[a].Secrets, s.Equal) }
			if slices.ContainsFunc(endpoints[b].Secrets, isIn) {
				all = append(all, Shared{&endpoints[a], &endpoints[b]})
			}
		}
	}
	return all
}

// checkShared refuses a secret that two providers or two schemes share, and warns of other shared ones.
func (l *loader) checkShared(c *Config) {
	for _, s := range FindShared(c.Endpoints) {
		switch {
		case s.IsAllowed():
			l.warn("%s: a delivery to one can also be sent to the other; give each endpoint its own", s)
		case s.A.Vendor != nil && s.B.Vendor != nil:
			l.wrong(s.B.SecretsVariable(), fmt.Sprintf("%s and differ in provider or scheme, "+
				"so a delivery that is signed for one could be sent to the other: give each its own", s))
		}
	}
}
