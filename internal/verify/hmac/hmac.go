// Package hmac verifies and makes the webhooks of any vendor that signs with HMAC-SHA256 and is
// described by settings: the header and the form of the signature, the signed text, and the places
// of the time, the event's name and its id. A preset is a set of these settings for one vendor
// (presets.go).
//
// These vendors sign the bytes that they send, so the body is used as it came. The whole body is
// always signed: settings without it are refused. The signed text can be split into its parts in
// one way only (signedParts), so nothing can be moved from one part to another.
//
// ADR 15 has for each preset what is signed, what isn't, and what the id is made of.
package hmac

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// check verifies a delivery.
func (s *scheme) check(r verify.Request) (verify.Claims, error) {
	r.Header = s.renamed(r.Header)
	a := attempt{scheme: s, r: &r}
	macs, err := a.signatures()
	if err != nil {
		return verify.Claims{}, err
	}
	text, err := a.text()
	if err != nil {
		return verify.Claims{}, err
	}
	position, ok := r.Signer(macs, s.covers, text)
	if !ok {
		return verify.Claims{}, verify.WrongSignature
	}
	return a.claims(verify.Claims{Scheme: s.covers, Secret: position, SignedText: text, Body: r.Body})
}

// keep returns the headers that the signed text needs, and the signature header with zeros.
func (s *scheme) keep(h http.Header) http.Header {
	h = s.renamed(h)
	kept := http.Header{}
	for _, name := range append([]string{"Content-Type"}, s.headers...) {
		if values := h[name]; values != nil {
			kept[name] = values
		}
	}
	_, stamp, _ := s.format.read(h.Get(s.header))
	kept.Set(s.header, s.format.write(make([]byte, sha256.Size), stamp))
	return kept
}

// resign returns kept headers with a new signature.
func (s *scheme) resign(kept http.Header, key secret.Secret, signed [][]byte) http.Header {
	_, stamp, _ := s.format.read(kept.Get(s.header))
	h := kept.Clone()
	h.Set(s.header, s.format.write(verify.Sum(key, signed...), stamp))
	return h
}

// attempt is the verification of one delivery.
type attempt struct {
	*scheme
	r      *verify.Request
	time   string           // in the signature header
	values []stringify.Text // at the paths; nil: not read yet
}

// signatures returns the signatures of the header.
func (a *attempt) signatures() (macs []verify.MAC, err error) {
	value, err := verify.HeaderValue(a.r.Header, a.header)
	if err != nil {
		return nil, err
	}
	macs, a.time, err = a.format.read(value)
	return macs, err
}

// read returns the value of a source; several reports whether its header occurs more than once.
func (a *attempt) read(s source) (text string, several bool) {
	if s.header != "" {
		values := a.r.Header[s.header]
		if len(values) != 1 {
			return "", len(values) > 1
		}
		return values[0], false
	}
	if a.values == nil {
		a.values = a.paths.Values(a.r.Body)
	}
	return verify.Text(a.values[s.path]), false
}

// stamp returns the delivery's time as it was sent; "" if there is none.
func (a *attempt) stamp() string {
	if !a.scheme.time.isSet {
		return a.time
	}
	text, _ := a.read(a.scheme.time)
	return text
}

// text returns the signed text, with a part for each of the template. A value that is missing or
// occurs twice counts as a missing signature.
func (a *attempt) text() (text [][]byte, err error) {
	for i, p := range a.signed {
		value := p.text
		switch p.kind {
		case body:
			text = append(text, a.r.Raw)
			continue
		case header:
			value, _ = a.read(source{header: p.text})
		case timestamp:
			value = a.stamp()
		}
		switch {
		case value == "":
			return nil, verify.NoSignature
		case p.kind != literal && !a.ends(value, i), p.kind == timestamp && !a.isTime(value):
			return nil, verify.MalformedSignature
		}
		text = append(text, []byte(value))
	}
	return text, nil
}

// isTime reports whether a value is a time, if only that separates it from the text before it.
func (s *scheme) isTime(value string) bool {
	if s.unit != rfc3339 {
		return true
	}
	_, _, ok := s.unit.parse(value)
	return ok
}

// ends reports whether the text after part i occurs first at the end of its value, so that the
// value can't be split elsewhere.
func (s *scheme) ends(value string, i int) bool {
	if i+1 == len(s.signed) || s.signed[i+1].kind != literal {
		return true
	}
	next := s.signed[i+1].text
	return strings.Index(value+next, next) == len(value)
}

// claims returns the claims of an authentic delivery.
func (a *attempt) claims(c verify.Claims) (verify.Claims, error) {
	c.IDText = a.idText(c.SignedText)
	var err error
	c.Name, err = a.first(a.events)
	if err == nil && c.Name == "" {
		err = fmt.Errorf("%w: it has no event name where EVENT says", verify.Unreadable)
	}
	c.UserID, _ = a.first(a.users)
	if !a.timed {
		return c, err
	}
	occurred, written, ok := a.unit.parse(a.stamp())
	if !ok {
		return c, cmp.Or(err, fmt.Errorf("%w: its time is not in the unit of TIMESTAMP_UNIT", verify.Unreadable))
	}
	c.Occurred, c.Time = occurred, written
	// The signed time is judged first: removing an unsigned name must not turn a stale delivery
	// into a 200.
	return c, cmp.Or(a.r.Within(occurred, a.r.Tolerance), err)
}

// idText returns the text for the event's id: the vendor's id if that is signed; else the signed
// text without the time, which differs between attempts.
func (a *attempt) idText(signed [][]byte) (text [][]byte) {
	if id, _ := a.first(a.ids); id != "" {
		return [][]byte{[]byte(id)}
	}
	for i, part := range signed {
		if a.signed[i].kind != timestamp {
			text = append(text, part)
		}
	}
	return text
}

// first returns the value of the first source that the delivery has.
func (a *attempt) first(sources []source) (string, error) {
	for _, s := range sources {
		text, several := a.read(s)
		if several {
			return "", fmt.Errorf("%w: %s is there more than once", verify.Unreadable, s.header)
		}
		if text != "" {
			return text, nil
		}
	}
	return "", nil
}
