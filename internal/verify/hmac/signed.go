package hmac

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// These match the kinds of a template's parts, as their letters.
var (
	ambiguous = regexp.MustCompile("hh|t[ht]|h[tb].*h") // its text can be split in two ways
	oneValue  = regexp.MustCompile("^l?[ht]lb$")        // it has one value; text follows that, and then the body
	// The body may be a form. Unlike a JSON object, a form may begin or end with another form. So the body
	// must be the last part, and every value before it must have text after it.
	takesForms = regexp.MustCompile("^l?([ht]l)*b$")
)

// parseSigned parses SIGNED. It accepts a template only if each signed text can be split in one way:
//   - The body is there, whole and once. No JSON object is the beginning or the end of another one, so
//     nothing can be moved between it and its neighbours.
//   - There is text between two values, and isAmbiguous refuses a value that contains the text after
//     it, unless it is the only value and an object follows. A time in RFC 3339 may contain that text,
//     and needs none before it: its year has four digits, and its zone ends it.
//   - A header without text after it is the last one. Otherwise a JSON object or a time in one of them
//     could take the place of the body or the time between them.
func (v *vendor) parseSigned() ([]part, error) {
	parts, err := split(v.Settings.Signed)
	if err != nil {
		return nil, err
	}
	var kinds []byte
	for i := range parts {
		p := &parts[i]
		if p.kind == timestamp || p.kind == header && v.when.isHeader(p.text) {
			*p = part{kind: timestamp, text: cmp.Or(v.when.text, "the timestamp in "+v.Signature.Header), position: p.position}
		}
		isSame := func(before part) bool { return p.kind != literal && before.kind == p.kind && before.text == p.text }
		switch {
		case p.kind == mac, v.isSignature(*p):
			return nil, atCharacter(p.position, errors.New("a signature can't sign itself"))
		case slices.ContainsFunc(parts[:i], isSame):
			return nil, atCharacter(p.position, errors.New("this is given twice"))
		}
		kinds = append(kinds, byte(p.kind))
	}
	at := ambiguous.FindIndex(kinds)
	if i := bytes.Index(kinds, []byte("ht")); i >= 0 && verify.Unit(v.Settings.TimestampUnit) != verify.DateTime {
		at = []int{i}
	}
	switch {
	case at != nil:
		err := errors.New("text is needed before this, or the signed text could be split in two ways")
		return nil, atCharacter(parts[at[0]+1].position, err)
	case !bytes.Contains(kinds, []byte{byte(body)}):
		return nil, errors.New("{body} is missing: an unsigned body proves nothing")
	}
	v.hasOneValue, v.Forms = oneValue.Match(kinds), takesForms.Match(kinds)
	return parts, nil
}

// isAmbiguous reports whether a signed text could be split in another way: if a value contains the text
// after it, or if an invalid time follows a header directly. Only a valid time tells by its form where
// the header ends.
func (v *vendor) isAmbiguous(text [][]byte) bool {
	// If the only value ended elsewhere, no object would follow the text; but a form, without a {, could.
	if v.hasOneValue && bytes.Contains(text[len(text)-1], []byte("{")) {
		return false
	}
	for i, value := range text[:len(text)-1] {
		is, next := v.signed[i].kind, v.signed[i+1]
		switch {
		case is == literal, is == body, is == timestamp && v.isDateTime(value): // they can end at one place only
		case next.kind == literal && strings.Index(string(value)+next.text, next.text) < len(value):
			return true
		case next.kind == timestamp && !v.isDateTime(text[i+1]):
			return true
		}
	}
	return false
}

// isDateTime reports whether the settings want a time in RFC 3339, and the text is one.
func (v *vendor) isDateTime(text []byte) bool {
	_, _, ok := v.Time.Unit.Parse(text)
	return ok && v.Time.Unit == verify.DateTime
}
