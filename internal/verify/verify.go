// Package verify checks that a vendor has signed a delivery, and returns the delivery's claims.
//
// A [Provider] describes a vendor: its signatures, and how it writes and dates its bodies. Each
// vendor has a folder below this one, and package providers lists them; the rest of the program
// knows none by name.
//
// Verification is a pure function of the request, the clock and the secrets. It fails closed:
// without a valid signature under one of the secrets it returns a [Refusal]. It checks the
// signature before it believes anything else in the body, even the time.
//
// ADR 2 has the contradictions on the vendors' pages, and the decisions about them.
package verify

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// The coverage of a signature: values of the envelope's "signed" and of …_SIGNATURE.
const (
	Payload = "payload" // the whole body
	Auto    = "auto"    // only for …_SIGNATURE: any of the provider's schemes
)

// The proof that a delivery is fresh: values of …_FRESHNESS.
const (
	FreshnessSigned = "signed" // its signed time must be fresh too
	FreshnessTime   = "time"   // only its unsigned time must be fresh
)

// Provider is a vendor of webhooks.
type Provider struct {
	Name       string // as in the configuration and the envelope
	Title      string // as people write it
	Site       string // its home page
	About      string // facts about it and their sources, in Markdown
	Register   string // where its dashboard takes the endpoint's URL, in Markdown
	SecretAt   string // where its dashboard shows the secret, in Markdown
	TypePrefix string // of the CloudEvents type: the vendor in reverse DNS, with the final dot

	// Its signatures.
	Header  string   // the HTTP header with the signature, in canonical case
	Member  string   // the member of the body that may have the signature instead, if a scheme signs members; "": none
	Format           // of that header
	Schemes []Scheme // the ways to sign a body
	Auto    bool     // all schemes may be tried, because none can pass for another; Auto is then the default

	// Its time.
	Tolerance  time.Duration // the default of …_TOLERANCE
	Ahead      time.Duration // how far its time may lie in the future; 0: as far as the tolerance
	SignedTime string        // a member with a signed time, if the time itself isn't signed; "": none
	Freshness  []string      // the values of …_FRESHNESS, the default first; nil if there is no choice
	Unit       Unit          // of its times
	Times      []string      // paths of the times in a body; the first is there in every body

	// Its bodies.
	Events     []string   // the known names; the first is the default to send
	Attributes Attributes // the sources of the envelope's attributes
	Samples    []string   // bodies of its events

	// Colour is the colour of its events on the live page, for a light and a dark background.
	Colour struct{ Light, Dark string }

	// Settings describe its signatures, for a provider that verifies by settings. Configure returns
	// the provider for an endpoint, whose settings override these, or the mistakes by variable.
	Settings  Settings
	Configure func(endpoint string, s Settings) (*Provider, map[string]error)

	// These are only for providers with Settings.
	Source     string                                  // the page about its signatures
	OtherNames [][2]string                             // headers in Settings, the signature's first, with the vendor's other names
	Forms      bool                                    // the body may be a form whose member payload has the JSON
	Headers    []string                                // all that it reads, including Header, by their names in Settings
	AsSent     bool                                    // the envelope has the body as it came, without white space between tokens
	Timeless   bool                                    // its deliveries have no time
	Unused     []string                                // headers in Settings that are ignored, because they aren't signed
	SignedText func(Request) ([][]byte, error)         // returns the signed text, in parts; nil: one of the Schemes has it
	SignSent   func(Signing) http.Header               // returns the headers of a delivery; nil: only the signature
	Explain    func(Request) (parts, missing []string) // describes the parts of the signed text, and lists missing ones

	// These are for all providers.
	Paths *Paths // of the values that Read needs
	// Read adds the claims of an authentic delivery: m has the values in the canonical body, and sent
	// those in the body for the envelope. The error is Unreadable or a Contradiction; Verify checks
	// the time.
	Read func(r Request, c Claims, m, sent []stringify.Text) (Claims, error)
	// Compose returns the body of an event. If data is nil, Compose makes some up that contains id.
	Compose func(event, id string, data stringify.Text) []byte
}

// Scheme is what a signature may cover.
type Scheme struct {
	Name string
	// Members are the members of the body whose texts are signed, one after the other; none: the
	// whole body. Only the last is an object. So the text can't be split in another way, and a text of
	// several members never begins like a body.
	Members []string
}

// Attributes describes the sources of the envelope's attributes, in words.
type Attributes struct{ Entity, EntityID, UserID, Time string }

// AheadOf returns how far in the future a delivery's time may lie with that tolerance.
func (p *Provider) AheadOf(tolerance time.Duration) time.Duration {
	if p.Ahead > 0 {
		return p.Ahead
	}
	return tolerance
}

// Keys returns the keys that the secrets encode.
func (p *Provider) Keys(secrets []secret.Secret) (keys []secret.Secret, err error) {
	for i, s := range secrets {
		var key []byte
		switch text := string(s.Key()); p.Settings.SecretEncoding {
		case "base64":
			text = strings.TrimRight(strings.TrimPrefix(text, "whsec_"), "=")
			key, err = Alphabet(text).DecodeString(text)
		case "hex":
			key, err = hex.DecodeString(text)
		default:
			return secrets, nil
		}
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("secret %d: it is not %s", i, p.Settings.SecretEncoding)
		}
		keys = append(keys, secret.New(string(key)))
	}
	return keys, nil
}

// JSON returns the JSON of a body: the body itself or, if it is a form, the form's member payload. The
// Content-Type isn't signed, so it alone must not turn JSON into a form: a user could have written
// &payload=… into the JSON. Every JSON object has bytes that a form escapes
// (https://url.spec.whatwg.org/#application-x-www-form-urlencoded-percent-encode-set).
func (p *Provider) JSON(h http.Header, body []byte) ([]byte, error) {
	if !p.Forms || bytes.ContainsAny(body, "{[\"<> \t\r\n") {
		return body, nil
	}
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return body, nil
	}
	members, err := url.ParseQuery(string(body))
	if err != nil || len(members["payload"]) != 1 {
		return nil, fmt.Errorf("%w: a form needs one member payload, with JSON", stringify.ErrSyntax)
	}
	return []byte(members.Get("payload")), nil
}

// Parse returns the text of the body's JSON: the canonical form or, if the vendor signs the bytes that
// it sends, the JSON as it came, without white space between tokens.
func (p *Provider) Parse(h http.Header, body []byte) (stringify.Text, error) {
	inner, err := p.JSON(h, body)
	if err != nil {
		return nil, err
	}
	c, err := stringify.Check(inner, p.AsSent)
	if err != nil {
		return nil, err
	}
	return c.Text(), nil
}

// Signatures lists the values of …_SIGNATURE, the default first.
func (p *Provider) Signatures() (words []string) {
	if p.Auto {
		words = append(words, Auto)
	}
	return append(words, p.SchemeNames()...)
}

// SchemeNames lists the names of the schemes.
func (p *Provider) SchemeNames() (names []string) {
	for _, s := range p.Schemes {
		names = append(names, s.Name)
	}
	return names
}

// Scheme returns the scheme of that name; the zero Scheme if there is none.
func (p *Provider) Scheme(name string) Scheme {
	for _, s := range p.Schemes {
		if s.Name == name {
			return s
		}
	}
	return Scheme{}
}

// Variable returns the full name of a variable of the provider's own endpoint: for SECRETS it is
// <PROVIDER>_SECRETS.
func (p *Provider) Variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_" + name
}

// Request is a received delivery, with all that is needed to verify it.
type Request struct {
	Header    http.Header
	Raw       []byte          // the body as it came
	Body      stringify.Text  // its canonical form, an object
	Secrets   []secret.Secret // current first
	Scheme    string          // one of the provider's Signatures
	Freshness string          // one of the provider's Freshness
	Tolerance time.Duration   // how much the delivery's time may differ from Now
	Now       time.Time
	// Sealed is set for deliveries from quarantine, whose signature is the bridge's own seal. It returns
	// the text that the seal covers.
	Sealed  func(scheme string, signed [][]byte) [][]byte
	Untimed bool // don't check the time: for deliveries from quarantine

	Stamp  string           // the time in the signature header; [Provider.MACs] sets it
	values []stringify.Text // of Body, at the provider's Paths; nil: not read yet
}

// Claims are the contents of an authentic delivery. Texts are as the vendor sent them; "": unknown.
type Claims struct {
	Scheme string // the name of the scheme that verified it
	Secret int    // the index of the secret that verified it

	// Body is the body for the envelope: the canonical one; or with AsSent the one that came,
	// without white space between tokens, because only that was signed.
	Body   stringify.Text
	AsSent bool

	// SignedText is the signed text, in parts to concatenate.
	SignedText [][]byte
	// IDText is the signed text for the event's id, in parts.
	IDText [][]byte
	// IDName is the event's name in canonical spelling if IDText doesn't say what happened; else nil.
	IDName []byte

	Name     string // of the event
	Entity   string
	EntityID string
	UserID   string
	Time     string    // RFC 3339
	Occurred time.Time // Time; zero if it can't be read, or isn't checked
	Created  time.Time // the signed time that must be fresh too; zero if there is none

	Drift string // the first member that isn't as the vendor documents it; "" for none
}
