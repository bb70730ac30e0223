// Package verify checks that a vendor has signed a delivery, and returns the delivery's claims.
//
// A [Provider] describes a vendor. Each vendor has a folder below this one, and package providers lists
// them; the rest of the program knows none by name.
//
// Verification is a pure function of the request, the clock and the secrets. It fails closed:
// without a valid signature under one of the secrets it returns a [Refusal]. It checks the
// signature before it believes anything else in the body, even the time.
//
// ADR 2 has the contradictions on the vendors' pages, and the decisions about them.
package verify

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Provider is a vendor of webhooks. [Provider.Verify] uses Signature, Read and Time, in this order.
// `bridge send` and the demo use Compose, Time and Signature to make deliveries like the vendor's.
type Provider struct {
	Name       string    // as in the configuration and the envelope
	Title      string    // as people write it
	TypePrefix string    // of the CloudEvents type: the vendor in reverse DNS, with the final dot
	Events     []string  // the known names; the first is the default to send
	Samples    []string  // bodies of its events
	Colour     [2]string // of its events on the live page, on a light and on a dark background

	Signature Signature
	// Read adds to c what an authentic delivery says: [Paths] finds it. The error is Unreadable or a
	// Contradiction; Verify checks the time.
	Read func(r Request, c Claims) (Claims, error)
	Time Time
	// Compose returns the body of an event. If data is nil, Compose makes some up that contains id.
	Compose func(event, id string, data stringify.Text) []byte

	BySettings // only package hmac sets it: zero for a vendor with a folder of its own
}

// Signature describes where a vendor's signatures are, and what they cover.
type Signature struct {
	Header  string   // the HTTP header with the signature, in canonical case
	Format  Format   // of that header
	Schemes []Scheme // the ways to sign a body
	Auto    bool     // optional: all schemes may be tried, because none can pass for another; Auto is then the default
	Member  string   // optional: the member of the body that may have the signature instead, if a scheme signs one member
}

// Scheme is what a signature may cover.
type Scheme struct {
	Name string
	// Members are the members of the body whose texts are signed, one after the other; none: the
	// whole body. Only the last is an object. So the text can't be split in another way, and a text of
	// several members never begins like a body.
	Members []string
}

// Time describes how a vendor dates its deliveries, and how old they may be.
type Time struct {
	Unit         Unit          // how it writes a time
	Member       string        // the path of the time in every body; "": it is in a header
	SignedMember string        // optional: the path of a signed time that may have to be recent too, if the time itself isn't signed
	Tolerance    time.Duration // the default of …_TOLERANCE
	Ahead        time.Duration // optional: how far the time may lie in the future, if not as far as the tolerance
}

// Values of …_SIGNATURE and of …_FRESHNESS.
const (
	Payload         = "payload" // the name of a scheme that signs the whole body
	Auto            = "auto"    // any of the provider's schemes
	FreshnessSigned = "signed"  // the signed time must be recent too
	FreshnessTime   = "time"    // only the unsigned time must be recent
)

// Request is a received delivery, with all that is needed to verify it.
type Request struct {
	Header    http.Header
	Raw       []byte          // the body as it came
	Body      stringify.Text  // its canonical form, an object; from [Provider.Parse]
	Secrets   []secret.Secret // current first
	Scheme    string          // one of the provider's Signatures
	Freshness string          // one of the provider's Freshness
	Tolerance time.Duration   // how much the delivery's time may differ from Now
	Now       time.Time
	// Sealed is set for deliveries from quarantine, whose signature is the bridge's own seal. It returns
	// the text that the seal covers.
	Sealed  func(scheme string, signed [][]byte) [][]byte
	Untimed bool // don't check the time: for deliveries from quarantine
}

// Claims are the contents of an authentic delivery. Texts are as the vendor sent them; "": unknown.
type Claims struct {
	Scheme string // the name of the scheme that verified it
	Secret int    // the index of the secret that verified it

	Body   stringify.Text // for the envelope: the canonical body or, if AsSent, the one that came, without white space between tokens
	AsSent bool           // the signature covers the body as it came, not its canonical form

	SignedText [][]byte // in parts to concatenate
	IDText     [][]byte // the signed text for the event's id, in parts
	IDName     []byte   // the event's name in canonical spelling, if IDText doesn't say what happened; else nil

	Name     string // of the event
	Entity   string
	EntityID string
	UserID   string
	Time     string    // RFC 3339
	Occurred time.Time // the same as Time; zero if it can't be read, or isn't checked
	Created  time.Time // the signed time that must be fresh too; zero if there is none
	Drift    string    // the first member that isn't as the vendor documents it; "" for none
}

// ErrNotObject means that a body is JSON, but not an object.
var ErrNotObject = errors.New("not a JSON object")

// Parse returns the text of the JSON object in the body: the canonical form or, if settings describe the
// vendor, the JSON as it came, without white space between tokens. It calls charge, unless that is nil, with
// the size of each copy that it makes of the body, and returns charge's error.
func (p *Provider) Parse(h http.Header, body []byte, charge func(size int) error) (stringify.Text, error) {
	inner, err := p.JSON(h, body)
	if isCopy := len(inner) > 0 && &inner[0] != &body[0]; err == nil && isCopy && charge != nil {
		err = charge(len(inner))
	}
	if err != nil {
		return nil, err
	}
	c, err := stringify.Check(inner, p.HasSettings())
	if size := c.Size(); err == nil && size > 0 && charge != nil {
		err = charge(size)
	}
	if err != nil {
		return nil, err
	}
	if text := c.Text(); text.IsObject() {
		return text, nil
	}
	return nil, ErrNotObject
}

// Verify returns the claims of an authentic delivery. If [IsAuthentic] reports true for the error, the
// signature is correct all the same, and the claims are those that could be read.
func (p *Provider) Verify(r Request) (c Claims, err error) {
	if r.Header, err = p.Rename(r.Header); err != nil {
		return Claims{}, err
	}
	if err = p.authenticate(&r, &c); err != nil {
		return Claims{}, err
	}
	c, err = p.Read(r, c)
	return c, p.checkTime(&r, c, err)
}

// Variable returns the full name of a variable of the provider's own endpoint, such as <PROVIDER>_SECRETS.
func (p *Provider) Variable(name string) string {
	return strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_" + name
}

// Signatures lists the values of …_SIGNATURE, the default first.
func (p *Provider) Signatures() (words []string) {
	if p.Signature.Auto {
		words = append(words, Auto)
	}
	return append(words, p.SchemeNames()...)
}

// SchemeNames lists the names of the schemes.
func (p *Provider) SchemeNames() (names []string) {
	for _, s := range p.Signature.Schemes {
		names = append(names, s.Name)
	}
	return names
}

// Scheme returns the scheme of that name, or else the first one.
func (p *Provider) Scheme(name string) Scheme {
	i := slices.IndexFunc(p.Signature.Schemes, func(s Scheme) bool { return s.Name == name })
	return p.Signature.Schemes[max(i, 0)]
}
