// Package hmac verifies and makes the webhooks of any vendor that signs with HMAC-SHA256, as
// settings describe it: which header bears the signature and how, which text is signed, where the
// time, the event's name and its id stand. A preset is these settings filled in for one vendor; see
// presets.go.
//
// These vendors sign the bytes that they send, so the body is taken as it came. The whole of it is
// always signed: settings that leave it out are refused. Which values are signed beside it is told
// apart in one way only (see signedParts), so that nothing can be moved from one to another.
//
// ADR 15 has for each preset what is signed, what isn't, and what the id is made of.
package hmac

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// check verifies a delivery.
func (s *scheme) check(r verify.Request) (verify.Claims, error) {
	if s.other != nil && len(r.Header[s.header]) == 0 && len(r.Header[s.other.header]) > 0 {
		s = s.other
	}
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

// keep returns the headers that are needed to put together what is signed, with zeros for a signature.
func (s *scheme) keep(h http.Header) http.Header {
	if s.other != nil && len(h[s.header]) == 0 && len(h[s.other.header]) > 0 {
		s = s.other
	}
	kept := http.Header{}
	for _, name := range append([]string{"Content-Type"}, s.headers...) {
		if values := h[name]; values != nil {
			kept[name] = values
		}
	}
	_, stamp, _ := s.format.read(h.Get(s.header), nil)
	kept.Set(s.header, s.format.write(make([]byte, sha256.Size), stamp))
	return kept
}

// resign returns kept headers with a signature again.
func (s *scheme) resign(kept http.Header, key secret.Secret, signed [][]byte) http.Header {
	if s.other != nil && len(kept[s.header]) == 0 {
		s = s.other
	}
	_, stamp, _ := s.format.read(kept.Get(s.header), nil)
	h := kept.Clone()
	h.Set(s.header, s.format.write(verify.Sum(key, signed...), stamp))
	return h
}

// attempt is the verification of one delivery.
type attempt struct {
	*scheme
	r         *verify.Request
	time      string // as the delivery has it; "" where it hasn't
	room      [8]verify.MAC
	parts     [][]byte // room for those of the signed text, and for the one of the id
	buffer    []byte   // all that is signed but the body; behind that, the id
	from, to  int      // of the time in it
	before    int      // how much of it stands before the body
	values    values
	wasWalked bool
}

// signatures returns the signatures of the header.
func (a *attempt) signatures() (macs []verify.MAC, err error) {
	values := a.r.Header[a.header]
	switch {
	case len(values) == 0:
		return nil, verify.NoSignature
	case slices.ContainsFunc(values[1:], func(v string) bool { return v != values[0] }):
		return nil, verify.ManySignatures
	}
	macs, a.time, err = a.format.read(values[0], a.room[:0])
	return macs, err
}

// read returns what stands at a source; several reports that its header is there more than once.
func (a *attempt) read(s source) (text string, several bool) {
	if s.header != "" {
		values := a.r.Header[s.header]
		if len(values) != 1 {
			return "", len(values) > 1
		}
		return values[0], false
	}
	if !a.wasWalked {
		a.paths.read(a.r.Body, &a.values)
		a.wasWalked = true
	}
	value := a.values[s.slot]
	if inside := value.Inside(); bytes.IndexByte(inside, '\\') < 0 && inside != nil {
		return string(inside), false
	}
	return verify.Text(value), false
}

// text puts together what is signed. What of it isn't there, or is there twice, is a missing
// signature.
func (a *attempt) text() ([][]byte, error) {
	if len(a.signed) == 1 { // the body
		a.parts = [][]byte{a.r.Raw, nil}
		return a.parts[:1:1], nil
	}
	a.buffer = make([]byte, 0, 128)
	for i, p := range a.signed {
		value := ""
		switch p.kind {
		case literal:
			a.buffer = append(a.buffer, p.text...)
			continue
		case body:
			a.before = len(a.buffer)
			continue
		case header:
			value, _ = a.read(source{header: p.text})
		case timestamp:
			if a.scheme.time.isSet {
				a.time, _ = a.read(a.scheme.time)
			}
			value = a.time
			a.from, a.to = len(a.buffer), len(a.buffer)+len(value)
		}
		if value == "" {
			return nil, verify.NoSignature
		}
		if !a.ends(value, i) || p.kind == timestamp && !a.isTime(value) {
			return nil, verify.MalformedSignature
		}
		a.buffer = append(a.buffer, value...)
	}
	a.parts = [][]byte{a.buffer[:a.before], a.r.Raw, a.buffer[a.before:], nil}
	return a.parts[:3:3], nil
}

// isTime reports whether a value is a time, where that is what tells it from what stands before it.
func (s *scheme) isTime(value string) bool {
	if s.unit != rfc3339 {
		return true
	}
	_, _, ok := s.unit.parse(value)
	return ok
}

// ends reports whether the value of part i ends where the text behind it begins, and nowhere before.
func (s *scheme) ends(value string, i int) bool {
	if i+1 == len(s.signed) || s.signed[i+1].kind != literal {
		return true
	}
	next := s.signed[i+1].text
	return strings.Index(value+next, next) == len(value)
}

// claims reads what an authentic delivery says.
func (a *attempt) claims(c verify.Claims) (verify.Claims, error) {
	c.IDText = a.idText()
	var err error
	c.Name, err = a.first(a.events)
	if err == nil && c.Name == "" {
		err = fmt.Errorf("%w: it has no event name where EVENT says", verify.Unreadable)
	}
	c.UserID, _ = a.first(a.users)
	if !a.timed {
		return c, err
	}
	if a.scheme.time.isSet {
		a.time, _ = a.read(a.scheme.time)
	}
	occurred, written, ok := a.unit.parse(a.time)
	if !ok {
		return c, cmp.Or(err, fmt.Errorf("%w: its time is not in the unit of TIMESTAMP_UNIT", verify.Unreadable))
	}
	c.Occurred, c.Time = occurred, written
	// What is signed comes first: to take an unsigned name away doesn't make a stale delivery into one
	// that is answered 200.
	return c, cmp.Or(a.r.Within(occurred, a.r.Tolerance), err)
}

// idText is what the event's id is made of: the id that it has, where that is signed, otherwise all
// that is signed but the time, which differs from one attempt to the next.
func (a *attempt) idText() [][]byte {
	if id, _ := a.first(a.ids); id != "" {
		all, last := append(a.buffer, id...), len(a.parts)-1
		a.parts[last] = all[len(a.buffer):]
		return a.parts[last:]
	}
	switch {
	case a.to == 0:
		return nil
	case a.to <= a.before:
		return [][]byte{a.buffer[:a.from], a.buffer[a.to:a.before], a.r.Raw, a.buffer[a.before:]}
	}
	return [][]byte{a.buffer[:a.before], a.r.Raw, a.buffer[a.before:a.from], a.buffer[a.to:]}
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

// takesForms reports whether a form may be the body. Unlike a JSON object, a form may begin or end with
// another one, so nothing that a delivery brings may stand next to it.
func (s *scheme) takesForms() bool {
	last := len(s.signed) - 1
	return s.signed[last].kind == body && (last == 0 || s.signed[last-1].kind == literal)
}

// unwrap returns the JSON of a body: the body itself, or of a form its member payload, as GitHub and
// Slack send them. The header that says so isn't signed, so it makes no form of what can't be one:
// in JSON, what a user has written could read &payload=….
func unwrap(h http.Header, raw []byte) ([]byte, error) {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") || !mayBeForm(raw) {
		return raw, nil
	}
	return payload(raw)
}

var errNoPayload = fmt.Errorf("%w: a form without the one member payload that has JSON", stringify.ErrSyntax)
