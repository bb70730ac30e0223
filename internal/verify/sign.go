package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// NewBody returns the body of an event of that name. If data is nil, NewBody makes some up that
// contains id.
func (p *Provider) NewBody(event string, data []byte, id string) ([]byte, error) {
	if data == nil {
		return p.Compose(event, id, nil), nil
	}
	text, err := p.Parse(nil, data, nil)
	if err != nil {
		return nil, fmt.Errorf("composing delivery: data: %w", err)
	}
	return p.Compose(event, id, text), nil
}

// Renew returns the body with its times set to t.
func (p *Provider) Renew(body []byte, t time.Time) ([]byte, error) {
	if _, err := p.Parse(nil, body, nil); err != nil {
		return nil, fmt.Errorf("dating delivery: %w", err)
	}
	written := []byte(p.Time.Unit.Format(t))
	if p.Time.Unit == DateTime {
		written = Quoted(string(written))
	}
	if p.Time.Member != "" {
		body = Set(body, p.Time.Member, written)
	}
	if path := p.Time.SignedMember; path != "" {
		var signed Paths
		if at := signed.Add(path, Any); signed.Values(body)[at] != nil {
			body = Set(body, path, written)
		}
	}
	return body, nil
}

// Signing is a delivery to sign.
type Signing struct {
	Scheme string // "" or Auto: the first
	Key    secret.Secret
	Event  string
	ID     string // unique; for vendors that send an id in a header
	Body   []byte
	Time   time.Time
}

// Sign returns the headers with which the vendor would send a delivery. The signature has the encoding
// of the code on the vendor's page.
func (p *Provider) Sign(d Signing) (http.Header, error) {
	if p.HasSettings() {
		h := p.Unsigned(d)
		text, _ := p.Parse(h, d.Body, nil) // nil if it isn't an object
		return p.SignHeaders(h, d.Key, p.SignedText(Request{Header: h, Raw: d.Body, Body: text})), nil
	}
	s := p.Scheme(d.Scheme)
	text, err := stringify.Parse(d.Body)
	if err != nil {
		return nil, fmt.Errorf("signing delivery: %w", err)
	}
	parts := s.Signed(text)
	if parts == nil {
		return nil, fmt.Errorf("signing delivery: the body has no %s that %s could sign", strings.Join(s.Members, " and "), p.Title)
	}
	return p.SignHeaders(nil, d.Key, parts), nil
}

// Tamper returns the body, an object, with a change in what Sign signs by the scheme.
func (p *Provider) Tamper(body []byte, scheme string) []byte {
	path := "tampered"
	if members := p.Scheme(scheme).Members; members != nil {
		path = members[len(members)-1] + ".tampered"
	}
	return Set(body, path, []byte("true"))
}

// Set returns a JSON object with the value at a path such as data.id. It creates missing objects on the
// way. New members go to the end.
func Set(object stringify.Text, path string, value []byte) []byte {
	name, rest, isDeeper := strings.Cut(path, ".")
	var members [][]byte
	isThere := false
	add := func(member string, text stringify.Text) {
		if member == name {
			isThere = true
			if !isDeeper {
				text = value
			} else {
				text = Set(text, rest, value)
			}
		}
		members = append(members, append(append(Quoted(member), ':'), text...))
	}
	c := stringify.Cursor{Text: object}
	c.Object(func(member []byte) { add(string(member), c.Value()) })
	if !isThere {
		add(name, nil)
	}
	return slices.Concat([]byte{'{'}, bytes.Join(members, []byte{','}), []byte{'}'})
}

// Quoted returns text as a JSON string.
func Quoted(text string) []byte {
	encoded, _ := json.Marshal(text) // a string has no error
	return encoded
}
