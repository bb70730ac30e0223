package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// The other half of a provider makes deliveries as the vendor would send them: for `bridge send`, the
// demo and tests.

// SampleBodies returns the provider's samples.
func (p *Provider) SampleBodies() (bodies [][]byte, err error) {
	if p.Bodies != nil {
		return p.Bodies, nil
	}
	names, err := fs.Glob(p.Samples, "samples/*.json")
	if err != nil {
		return nil, fmt.Errorf("reading samples: %w", err)
	}
	for _, name := range names {
		body, err := fs.ReadFile(p.Samples, name)
		if err != nil {
			return nil, fmt.Errorf("reading samples: %w", err)
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

// NewBody returns the body of an event of that name. data is the body's data; with nil it is made up,
// and id makes it one of its kind.
func (p *Provider) NewBody(event string, data []byte, id string) ([]byte, error) {
	var text stringify.Text
	if data != nil {
		var err error
		switch text, err = p.Parse(nil, data); {
		case err != nil:
			return nil, fmt.Errorf("composing delivery: data: %w", err)
		case !text.IsObject():
			return nil, errors.New("composing delivery: data is not a JSON object")
		}
	}
	return p.Compose(event, id, text).Text(), nil
}

// Renew returns the body with its times set to t.
func (p *Provider) Renew(body []byte, t time.Time) ([]byte, error) {
	o, err := ParseObject(body)
	if err != nil {
		return nil, fmt.Errorf("dating delivery: %w", err)
	}
	if o, err = p.Date(o, t); err != nil {
		return nil, fmt.Errorf("dating delivery: %w", err)
	}
	return o.Text(), nil
}

// Sign returns the headers that the vendor would send with a body: its signature by that scheme, in
// the encoding that the code of the vendor's page has.
func (p *Provider) Sign(scheme string, key secret.Secret, body []byte) (http.Header, error) {
	s, ok := p.Scheme(scheme)
	if !ok {
		return nil, fmt.Errorf("signing delivery: %s has no scheme %q", p.Title, scheme)
	}
	text, err := stringify.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("signing delivery: %w", err)
	}
	return http.Header{p.Header: {p.Encodings[0].Encode(Sum(key, s.Parts(text)...))}}, nil
}

// Signing is a delivery that is to be signed.
type Signing struct {
	Scheme string
	Key    secret.Secret
	Event  string
	ID     string // unique; for vendors that send one in a header
	Body   []byte
	Time   time.Time
}

// SignDelivery returns the headers that the vendor would send with a delivery.
func (p *Provider) SignDelivery(s Signing) (http.Header, error) {
	if p.SignSent == nil {
		return p.Sign(s.Scheme, s.Key, s.Body)
	}
	return p.SignSent(s), nil
}

// SchemeToSign returns the scheme by which to sign for an endpoint with that …_SIGNATURE.
func (p *Provider) SchemeToSign(signature string) string {
	if signature == Auto {
		return p.Schemes[0].Name
	}
	return signature
}

// Tamper returns the body with its data changed, or with a member more, so that no signature over it holds.
func Tamper(body []byte) ([]byte, error) {
	o, err := ParseObject(body)
	if err != nil {
		return nil, fmt.Errorf("tampering with delivery: %w", err)
	}
	if data, err := ParseObject(o.Get("data")); err == nil {
		return o.Set("data", data.Set("tampered", []byte("true")).Text()).Text(), nil
	}
	return o.Set("tampered", []byte("true")).Text(), nil
}
