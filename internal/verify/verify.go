// Package verify decides whether a delivery is what its vendor signed, and returns what it claims.
//
// A [Provider] describes a vendor: what it signs, how it writes and dates its bodies, what is known
// of it. Each vendor is a folder below this one, and package providers lists them; the rest of the
// program knows none by name.
//
// Verification is a pure function of the request, the clock and the secrets. It fails closed:
// whatever isn't proven by a signature under one of the secrets is refused with a [Refusal]. The
// signature is checked before anything else that the body says is believed, the time included.
//
// What the vendors' pages say and contradict, and what was decided, is in ADR 2.
package verify

import (
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// What a signature covers: the values of the envelope's "signed", and of …_SIGNATURE.
const (
	Payload = "payload" // the whole body
	Auto    = "auto"    // as a setting only: any of the provider's schemes
)

// What proves that a delivery is fresh: the values of …_FRESHNESS.
const (
	FreshnessSigned = "signed" // its signed time must be fresh too
	FreshnessTime   = "time"   // its unsigned time alone is judged
)

// Provider is a vendor of webhooks.
type Provider struct {
	Name       string // as in the configuration and the envelope
	Title      string // as people write it
	Site       string // its home page
	About      string // what is known of it, and from where, in Markdown
	Register   string // where its dashboard takes the endpoint's URL, in Markdown
	SecretAt   string // where its dashboard shows the secret, in Markdown
	TypePrefix string // of the CloudEvents type: the vendor in reverse DNS, with the final dot

	// What it signs.
	Header    string     // the HTTP header that bears the signature, in canonical case
	Member    string     // of the body, which may bear it in place of the header where a scheme signs members; "" for none
	Encodings []Encoding // of the signature; the first is the one to sign with
	Schemes   []Scheme   // what may be signed
	Auto      bool       // any of the schemes may be tried, since none can pass for another; this is then the default

	// Its time.
	Tolerance  time.Duration // the default of …_TOLERANCE
	Ahead      time.Duration // how far its time may lie in the future; 0: as far as in the past
	SignedTime string        // the member that is a signed time where the time itself isn't; "" for none
	Patience   time.Duration // how long it waits for an answer; 0 where that isn't known

	// Its bodies.
	Members    []string   // of a body, in the order in which the vendor writes them; nil where that varies
	Marks      []string   // members that tell its bodies from those of others
	Events     []string   // the names that are known, the one to send first; it may send others
	Attributes Attributes // where the envelope's attributes come from
	Samples    fs.FS      // *.json: bodies of its events
	Bodies     [][]byte   // the same, where they aren't files

	// Colour is that of its events on the live page, on a light and on a dark ground.
	Colour struct{ Light, Dark string }

	// Settings describe what it signs, where that is what Verify goes by; then Configure returns the
	// provider with an endpoint's own settings over these.
	Settings  Settings
	Configure func(endpoint string, s Settings) (*Provider, []SettingProblem)

	// What a provider with Settings has besides.
	Source   string                                                                 // the page that says what it signs
	Headers  []string                                                               // all that it reads, Header among them
	AsSent   bool                                                                   // data is the body as it came, the white space between tokens left out
	Timeless bool                                                                   // its deliveries have no time
	Unused   []string                                                               // headers that Settings name and that nothing is made of, since they aren't signed
	Unwrap   func(http.Header, []byte) ([]byte, error)                              // returns the JSON of a body; nil where that is the body
	Key      func(secret.Secret) (secret.Secret, error)                             // decodes a secret; nil where it needs no decoding
	SignSent func(Signing) http.Header                                              // makes the headers of a delivery; nil for Sign's
	Keep     func(http.Header) http.Header                                          // returns what quarantine keeps of the headers, without a signature; nil for nothing
	Resign   func(kept http.Header, key secret.Secret, signed [][]byte) http.Header // signs anew what Keep has kept
	Explain  func(Request) (steps []string, causes []Finding)                       // says what was signed, and why a delivery is refused

	// Verify returns what an authentic delivery claims. Without an error all of it may be believed
	// as far as the scheme covers it. Where the error is a Refusal that IsAuthentic, the signature
	// was right all the same, and Claims has what could be read.
	Verify func(Request) (Claims, error)
	// Compose returns the body of an event. With nil data it makes some up, in which id is unique.
	Compose func(event, id string, data stringify.Text) Object
	// Date sets the times of a body.
	Date func(body Object, t time.Time) (Object, error)
}

// Scheme is what a signature may cover.
type Scheme struct {
	Name string
	// Members are those members of the body whose texts are signed, one after the other; none means
	// the whole body. The last one must be an object and no other one may be: so the text can't be
	// split in two ways, and one of several members never begins like a body.
	Members []string
}

// Attributes says in words where the envelope's attributes come from.
type Attributes struct{ Entity, EntityID, UserID, Time string }

// Span is how long one delivery is accepted with that tolerance: the longest time from its first
// acceptance to its last.
func (p *Provider) Span(tolerance time.Duration) time.Duration {
	return tolerance + p.AheadOf(tolerance)
}

// AheadOf returns how far a delivery's time may lie in the future with that tolerance.
func (p *Provider) AheadOf(tolerance time.Duration) time.Duration {
	if p.Ahead > 0 {
		return p.Ahead
	}
	return tolerance
}

// Keys returns the keys that secrets are the texts of.
func (p *Provider) Keys(secrets []secret.Secret) (keys []secret.Secret, err error) {
	if p.Key == nil {
		return secrets, nil
	}
	for i, s := range secrets {
		key, err := p.Key(s)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// JSON returns the JSON of a body: the body, unless the vendor wraps it.
func (p *Provider) JSON(h http.Header, body []byte) ([]byte, error) {
	if p.Unwrap == nil {
		return body, nil
	}
	return p.Unwrap(h, body)
}

// Text returns a body as it is read and published: in its canonical form, or as it came without the
// white space between tokens, where the vendor signs what it sends.
func (p *Provider) Text(c stringify.Checked) stringify.Text {
	if p.AsSent {
		return c.Compact()
	}
	return c.Text()
}

// TextSize returns how many bytes Text allocates.
func (p *Provider) TextSize(c stringify.Checked) int {
	if p.AsSent {
		return c.CompactSize()
	}
	return c.Size()
}

// Parse reads a body as far as it needs no secret. It must be one JSON object.
func (p *Provider) Parse(h http.Header, body []byte) (stringify.Text, error) {
	inner, err := p.JSON(h, body)
	if err != nil {
		return nil, err
	}
	c, err := stringify.Check(inner)
	if err != nil {
		return nil, err
	}
	return p.Text(c), nil
}

// Signatures lists what …_SIGNATURE may be, the default first.
func (p *Provider) Signatures() (words []string) {
	if p.Auto {
		words = append(words, Auto)
	}
	return append(words, p.SchemeNames()...)
}

// SchemeNames lists what may be signed.
func (p *Provider) SchemeNames() (names []string) {
	for _, s := range p.Schemes {
		names = append(names, s.Name)
	}
	return names
}

// Scheme returns the scheme of that name, false where the provider has none.
func (p *Provider) Scheme(name string) (Scheme, bool) {
	for _, s := range p.Schemes {
		if s.Name == name {
			return s, true
		}
	}
	return Scheme{}, false
}

// SchemeOfMember returns the scheme whose signature may stand in the body: the first that doesn't sign all
// of it.
func (p *Provider) SchemeOfMember() Scheme {
	for _, s := range p.Schemes {
		if len(s.Members) > 0 {
			return s
		}
	}
	return Scheme{}
}

// Freshness lists what …_FRESHNESS may be, the default first; nil where there is no choice.
func (p *Provider) Freshness() []string {
	if p.SignedTime == "" {
		return nil
	}
	return []string{FreshnessSigned, FreshnessTime}
}

// Variable is what the variable of that name is called for the provider's own endpoint: its name in
// capitals, an underscore, and name.
func (p *Provider) Variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_" + name
}

// Request is a delivery as it was received, and all that is needed to judge it.
type Request struct {
	Header    http.Header
	Raw       []byte          // the body as it came
	Body      stringify.Text  // its canonical form, an object
	Secrets   []secret.Secret // current first
	Scheme    string          // one of the provider's Signatures
	Freshness string          // one of the provider's Freshness
	Tolerance time.Duration   // how far the delivery's time may be off
	Now       time.Time
	// Seal, where it isn't nil, takes the place of the signature: it reports whether the bridge has
	// verified that text with the secret before, for what is released from quarantine.
	Seal    func(key secret.Secret, scheme string, signed [][]byte) bool
	Untimed bool // don't check the delivery's time: for what is released from quarantine
}

// Claims is what an authentic delivery says. Texts are as the vendor sent them, "" where unknown.
type Claims struct {
	Scheme string // what the signature covers: the name of one of the provider's schemes
	Secret int    // which of the request's secrets verified it, from 0

	// Body is the body for the envelope: the canonical one, or where the signature is over what was sent
	// and not over that, the one that came without the white space between its tokens.
	Body   stringify.Text
	AsSent bool // the second is the case

	// SignedText is the text under the signature, in the parts of which it is the concatenation.
	SignedText [][]byte
	// IDName is the event's name in canonical spelling where the signed text doesn't say what
	// happened, so that the id must; otherwise nil.
	IDName []byte
	// IDText is what the event's id is made of, in parts, where that isn't the whole signed text.
	IDText [][]byte

	Name     string // of the event
	Entity   string
	EntityID string
	UserID   string
	Time     string    // RFC 3339
	Occurred time.Time // Time
	Created  time.Time // the signed time that must be fresh too; zero where there is none

	Drift string // the first member that isn't as the vendor documents it; "" for none
}
