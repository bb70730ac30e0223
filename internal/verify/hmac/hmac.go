// Package hmac verifies and makes the webhooks of any vendor that signs with HMAC-SHA256 and is described
// by settings: the header and the form of the signature, the signed text, and the places of the time, the
// event's name and its id. A preset is a set of these settings for one vendor (presets.go).
//
// These vendors sign the bytes that they send, so the body is used as it came. The whole body is
// always signed: settings without it are refused. The signed text can be split into its parts in
// one way only (scheme.parse), so nothing can be moved from one part to another.
//
// ADR 15 has for each preset what is signed, what isn't, and what the id is made of.
package hmac

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// value returns the value of a part or at a place; "" if there is none, or if its header occurs more
// than once.
func (s *scheme) value(r *verify.Request, p part) string {
	switch p.kind {
	case literal:
		return p.text
	case body:
		return string(r.Raw)
	case timestamp:
		return s.value(r, s.time)
	case header:
		if values := r.Header[p.text]; len(values) == 1 {
			return values[0]
		}
		return ""
	case member:
		return verify.TextOf(s.Values(r)[p.path])
	}
	return r.Stamp
}

// signedText returns the signed text, in parts. A value that is missing or occurs twice counts as a
// missing signature.
func (s *scheme) signedText(r verify.Request) ([][]byte, error) {
	text := make([][]byte, 0, len(s.signed))
	for _, p := range s.signed {
		value := r.Raw
		if p.kind != body {
			value = []byte(s.value(&r, p))
		}
		if len(value) == 0 {
			return nil, verify.NoSignature
		}
		text = append(text, value)
	}
	return text, nil
}

// isAmbiguous reports whether a signed text could be split in another way. That is so if a value
// contains the text behind it, or if an invalid time follows a header directly: only the form of a valid
// one tells where the header ends.
func (s *scheme) isAmbiguous(text [][]byte) bool {
	for i, value := range text[:len(text)-1] {
		is, next := s.signed[i].kind, s.signed[i+1]
		switch {
		case is == literal, is == body, is == timestamp && s.isDateTime(value): // they can end at one place only
		case s.isOnlyBeforeObject(i, text): // and so can this
		case next.kind == literal && strings.Index(string(value)+next.text, next.text) < len(value):
			return true
		case next.kind == timestamp && !s.isDateTime(text[i+1]):
			return true
		}
	}
	return false
}

// isOnlyBeforeObject reports whether the value is the only one, with text and an object behind it. If it
// ended elsewhere, what is behind the text would be no object. A form, which never contains a {, could
// still be one.
func (s *scheme) isOnlyBeforeObject(i int, text [][]byte) bool {
	rest := s.signed[i+1:]
	return (i == 0 || i == 1 && s.signed[0].kind == literal) &&
		len(rest) == 2 && rest[0].kind == literal && rest[1].kind == body && bytes.Contains(text[i+2], []byte("{"))
}

// isDateTime reports whether the settings want a time in RFC 3339, and the text is one.
func (s *scheme) isDateTime(text []byte) bool {
	_, _, ok := s.Unit.Parse(text)
	return ok && s.Unit == verify.DateTime
}

// read reads the claims of an authentic delivery.
func (s *scheme) read(r verify.Request, c verify.Claims, _, _ []stringify.Text) (verify.Claims, error) {
	if s.isAmbiguous(c.SignedText) {
		return c, fmt.Errorf("%w: the signed text could be split in two ways: "+
			"a value in SIGNED contains the text behind it, or the time is invalid", verify.Contradiction)
	}
	c.IDText = s.idText(&r, c.SignedText)
	c.UserID, c.Name = s.first(&r, s.users), s.first(&r, s.events)
	isTimed := true
	if !s.Timeless {
		c.Occurred, c.Time, isTimed = s.Unit.Parse([]byte(s.value(&r, s.time)))
	}
	switch {
	case c.Name == "":
		return c, fmt.Errorf("%w: it has no event name at the places in EVENT, or the header twice", verify.Unreadable)
	case !isTimed:
		return c, fmt.Errorf("%w: its time is not in the unit of TIMESTAMP_UNIT", verify.Unreadable)
	}
	return c, nil
}

// idText returns the text for the event's id: the vendor's id if that is signed; else the signed
// text without the time, which differs between attempts.
func (s *scheme) idText(r *verify.Request, signed [][]byte) (text [][]byte) {
	if id := s.first(r, s.ids); id != "" {
		return [][]byte{[]byte(id)}
	}
	for i, part := range signed {
		if s.signed[i].kind != timestamp {
			text = append(text, part)
		}
	}
	return text
}

// first returns the value at the first place that the delivery has; "" if that is a header which occurs
// more than once.
func (s *scheme) first(r *verify.Request, places []part) string {
	for _, p := range places {
		if text := s.value(r, p); text != "" || p.kind == header && len(r.Header[p.text]) > 1 {
			return text
		}
	}
	return ""
}

// explain lists the parts of the signed text with their lengths, and the parts that are missing or
// occur more than once. It never shows a part itself.
func (s *scheme) explain(r verify.Request) (parts, missing []string) {
	_, _ = s.MACs(&r, nil) // sets r.Stamp
	for _, p := range s.signed {
		if p.kind == literal {
			continue
		}
		name, value := cmp.Or(p.text, s.time.text, "the timestamp in "+s.Header), s.value(&r, p)
		parts = append(parts, fmt.Sprintf("%s has %d bytes", name, len(value)))
		if value == "" {
			missing = append(missing, name)
		}
	}
	return parts, missing
}
