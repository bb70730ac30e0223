package verify

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// authenticate finds the scheme and the secret that made a signature, and fills in the claims. It tries
// the canonical body first, and then the body as it came, because senders in other languages than
// JavaScript sign the bytes that they send (ADR 2).
func (p *Provider) authenticate(r *Request, c *Claims) error {
	var buffer [4]MAC // avoids an allocation; there may be more
	macs, err := p.readMACs(r, buffer[:0])
	if err != nil {
		return err
	}
	if p.HasSettings() {
		text := p.SignedText(*r)
		if slices.ContainsFunc(text, func(part []byte) bool { return len(part) == 0 }) {
			return NoSignature
		}
		return r.match(c, macs, p.Signature.Schemes[0].Name, text)
	}
	err = p.findScheme(r, c, macs, r.Body)
	if !errors.Is(err, WrongSignature) || bytes.Equal(r.Raw, r.Body) {
		return err
	}
	if err = p.findScheme(r, c, macs, r.Raw); err != nil {
		return err
	}
	checked, err := stringify.Check(r.Raw, true) // no error: it has a canonical form
	c.Body, c.AsSent = checked.Text(), true
	return err
}

// readMACs appends the MACs of the signature header and, if the endpoint's scheme allows it, the MAC in
// the body's member. Any of them may match.
func (p *Provider) readMACs(r *Request, macs []MAC) ([]MAC, error) {
	at, inBody := &p.Signature, ""
	if s := p.Scheme(r.Scheme); r.Scheme != Auto && len(s.Members) == 1 {
		both := Scheme{Members: []string{s.Members[0], at.Member}}
		values := both.Parts(r.Body)
		// One signature of {} would sign every event.
		if data := stringify.Text(values[0]); !data.IsObject() || len(data) == len("{}") {
			return nil, UnsignableDataShape
		}
		if at.Member != "" {
			inBody = TextOf(values[1])
		}
	}
	value := ""
	for i, v := range r.Header[at.Header] {
		// Headers that differ are refused, because nothing tells which one counts. Equal ones count
		// as one: some proxies double headers.
		if i > 0 && v != value {
			return nil, ManySignatures
		}
		value = v
	}
	macs, _, err := at.Format.Read(macs, value)
	if inBody == "" {
		return macs, err
	}
	switch mac, ok := Decode(inBody, at.Format.Encodings); {
	case ok:
		return append(macs, mac), nil
	case err != nil:
		return nil, MalformedSignature
	}
	return macs, nil
}

// findScheme finds the scheme whose signed text has one of the MACs. It also refuses a correct signature
// by a scheme that the endpoint doesn't accept, but with another error, because only the setting is
// wrong.
func (p *Provider) findScheme(r *Request, c *Claims, macs []MAC, body stringify.Text) error {
	for _, s := range p.Signature.Schemes {
		parts := s.Signed(body)
		if parts == nil {
			continue
		}
		switch err := r.match(c, macs, s.Name, parts); {
		case err != nil:
		case r.Scheme != s.Name && r.Scheme != Auto:
			return fmt.Errorf("%w: it covers %s", OtherScheme, s.Name)
		default:
			return nil
		}
	}
	return WrongSignature
}

// Signed returns the parts of the text that the scheme signs; nil if the body can't have been
// signed with it.
func (s *Scheme) Signed(body stringify.Text) [][]byte {
	parts := s.Parts(body)
	for i, part := range parts {
		if isLast := i == len(parts)-1; part == nil || len(s.Members) > 0 && (part[0] == '{') != isLast {
			return nil
		}
	}
	return parts
}

// Parts returns the parts of the text that the scheme signs, even if the body can't have been signed
// with it. A missing member is nil.
func (s *Scheme) Parts(body stringify.Text) [][]byte {
	if len(s.Members) == 0 {
		return [][]byte{body}
	}
	parts := make([][]byte, len(s.Members))
	c := stringify.Cursor{Text: body}
	c.Object(func(name []byte) {
		if i := slices.IndexFunc(s.Members, func(m string) bool { return string(name) == m }); i >= 0 {
			parts[i] = c.Value()
		}
	})
	return parts
}

// match fills in the claims of a delivery if one of the MACs is that of the concatenated parts under
// one of the secrets. It never accepts an empty secret, which anybody could use. Each comparison
// takes constant time; the position of the secret is no secret.
func (r *Request) match(c *Claims, macs []MAC, scheme string, parts [][]byte) error {
	text := parts
	if r.Sealed != nil {
		text = r.Sealed(scheme, parts)
	}
	for i, key := range r.Secrets {
		sum := key.MAC(text...)
		isSum := func(mac MAC) bool { return hmac.Equal(sum[:], mac[:]) }
		if !key.IsEmpty() && slices.ContainsFunc(macs, isSum) {
			*c = Claims{Scheme: scheme, Secret: i, Body: r.Body, SignedText: parts, IDText: parts}
			return nil
		}
	}
	return WrongSignature
}
