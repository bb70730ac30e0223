// Package verify decides whether a delivery is what its vendor signed, and says what it claims.
//
// A [Provider] is a value; its verification is a pure function of the request, the clock and the
// secrets. It fails closed: whatever isn't proven by a signature under one of the secrets is
// refused with a [Refusal]. The signature is checked before anything else that the body says is
// believed, the time included.
//
// What the vendors' pages say and contradict, and what was decided, is in ADR 2.
package verify

import (
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// What a signature covers: the values of the envelope's "signed", and of …_SIGNATURE.
const (
	Payload       = "payload"        // S(body)
	TimestampData = "timestamp-data" // S(timestamp) followed by S(data)
	Data          = "data"           // S(data)
	Auto          = "auto"           // as a setting only: any of the provider's that can't be confused
)

// How Frigade's unsigned time is backed: the values of …_FRESHNESS.
const (
	FreshnessSigned = "signed" // data.createdAt, which is signed, must be fresh too
	FreshnessTime   = "time"   // time alone
)

// Provider is a vendor of webhooks.
type Provider struct {
	Name       string        // as in the configuration and the envelope
	TypePrefix string        // of the CloudEvents type: the vendor in reverse DNS, with the final dot
	Header     string        // the HTTP header that bears the signature
	Schemes    []string      // what …_SIGNATURE may be, the default first
	Freshness  []string      // what …_FRESHNESS may be, the default first; nil where there is no choice
	Tolerance  time.Duration // the default of …_TOLERANCE
	Ahead      time.Duration // how far a delivery's time may lie in the future; 0: as far as in the past

	// Verify returns what an authentic delivery claims. Without an error all of it may be believed
	// as far as Claims.Scheme covers it. Where the error is a Refusal that IsAuthentic, the
	// signature was right all the same, and Claims has what could be read.
	Verify func(Request) (Claims, error)
}

// Span is how long one delivery is accepted: the longest time from its first acceptance to its last, with
// that tolerance.
func (p Provider) Span(tolerance time.Duration) time.Duration {
	if p.Ahead > 0 {
		return tolerance + p.Ahead
	}
	return 2 * tolerance
}

// Providers has every vendor that the bridge knows.
var Providers = []Provider{Flock, Frigade}

// ByName returns the provider of that name, false where there is none.
func ByName(name string) (Provider, bool) {
	i := slices.IndexFunc(Providers, func(p Provider) bool { return p.Name == name })
	if i < 0 {
		return Provider{}, false
	}
	return Providers[i], true
}

// Request is a delivery as it was received, and all that is needed to judge it.
type Request struct {
	Body       stringify.Text  // the canonical body, an object
	Signatures []string        // every value of the provider's header
	Secrets    []secret.Secret // current first
	Scheme     string          // one of the provider's Schemes
	Freshness  string          // one of the provider's Freshness
	Tolerance  time.Duration   // how far the delivery's time may be off
	Now        time.Time
	Untimed    bool // don't check the delivery's time: for what somebody releases from quarantine
}

// Claims is what an authentic delivery says. Texts are as the vendor sent them, "" where unknown.
type Claims struct {
	Scheme string // what the signature covers: Payload, TimestampData or Data
	Secret int    // which of the request's secrets verified it, from 0

	// SignedText is the text under the signature, in the parts of which it is the concatenation.
	SignedText [][]byte
	// IDName is the event's name in canonical spelling where the signed text doesn't say what
	// happened, so that the id must; otherwise nil.
	IDName []byte

	Name     string // of the event
	Entity   string
	EntityID string
	UserID   string
	Time     string    // RFC 3339
	Occurred time.Time // Time
}
