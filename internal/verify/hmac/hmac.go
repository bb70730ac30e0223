// Package hmac verifies and makes the webhooks of any vendor that signs with HMAC-SHA256 and is described
// by settings: the header and the form of the signature, the signed text, and the places of the time, the
// event's name and its id. A preset is a set of these settings for one vendor (presets.go).
//
// These vendors sign the bytes that they send, so the body is used as it came. The whole body is
// always signed: settings without it are refused. The signed text can be split into its parts in
// one way only (vendor.parseSigned), so nothing can be moved from one part to another.
//
// ADR 15 has for each preset what is signed, what isn't, and what the id is made of.
package hmac

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// delivery is a request with the members of its body.
type delivery struct {
	verify.Request
	members []stringify.Text // by the numbers of their paths; nil: not read yet
}

// signedText returns the signed text, in parts. A value that is missing or occurs twice is empty.
func (v *vendor) signedText(r verify.Request) [][]byte {
	d, text := delivery{Request: r}, make([][]byte, len(v.signed))
	for i, p := range v.signed {
		if text[i] = r.Raw; p.kind != body {
			text[i] = []byte(v.value(&d, p))
		}
	}
	return text
}

func (v *vendor) explain(r verify.Request) (parts, missing []string) {
	for i, text := range v.signedText(r) {
		name := v.signed[i].text
		if v.signed[i].kind == literal {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s has %d bytes", name, len(text)))
		if len(text) == 0 {
			missing = append(missing, name)
		}
	}
	return parts, missing
}

// value returns the value of a part or at a place; "" if there is none, or if its header occurs more
// than once.
func (v *vendor) value(d *delivery, p part) string {
	switch p.kind {
	case literal:
		return p.text
	case timestamp:
		return v.value(d, v.when)
	case mac:
		if values := d.Header[v.Signature.Header]; len(values) > 0 { // all are equal
			_, time, _ := v.Signature.Format.Read(nil, values[0])
			return time
		}
	case header:
		if values := d.Header[p.text]; len(values) == 1 {
			return values[0]
		}
	case member:
		if d.members == nil {
			d.members = v.paths.Values(d.Body)
		}
		return verify.TextOf(d.members[p.path])
	}
	return ""
}

// first returns the value at the first of the places that has one; "" if a header occurs more than once
// there.
func (v *vendor) first(d *delivery, places []part) string {
	for _, p := range places {
		if text := v.value(d, p); text != "" || p.kind == header && len(d.Header[p.text]) > 1 {
			return text
		}
	}
	return ""
}

// read reads the claims of an authentic delivery.
func (v *vendor) read(r verify.Request, c verify.Claims) (verify.Claims, error) {
	if v.isAmbiguous(c.SignedText) {
		return c, fmt.Errorf("%w: the signed text could be split in two ways: "+
			"a value in SIGNED contains the text after it, or the time is invalid", verify.Contradiction)
	}
	d := delivery{Request: r}
	c.IDText = v.idText(&d, c.SignedText)
	c.UserID, c.Name = v.first(&d, v.users), v.first(&d, v.events)
	isTimed := true
	if v.Time.Unit != verify.NoTime {
		c.Occurred, c.Time, isTimed = v.Time.Unit.Parse([]byte(v.value(&d, v.when)))
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
// text without the time, which differs between attempts. U+FFFF may stand for any lone surrogate, so
// an id with it may be that of another event.
func (v *vendor) idText(d *delivery, signed [][]byte) (text [][]byte) {
	if id := v.first(d, v.ids); id != "" && !strings.ContainsRune(id, '\uffff') {
		return [][]byte{[]byte(id)}
	}
	for i, part := range signed {
		if v.signed[i].kind != timestamp {
			text = append(text, part)
		}
	}
	return text
}

// compose returns the body of an event: data or a sample, with the name and the id at the places in
// the settings.
func (v *vendor) compose(event, id string, data stringify.Text) []byte {
	if data == nil {
		data = stringify.Text(v.Samples[0])
		if len(v.ids) == 0 { // only its text tells one event from another
			data = verify.Set(data, "sample", verify.Quoted(id))
		}
	}
	if v.events[0].kind == member {
		data = verify.Set(data, v.events[0].text, verify.Quoted(event))
	}
	if len(v.ids) > 0 && v.ids[0].kind == member {
		data = verify.Set(data, v.ids[0].text, verify.Quoted("evt_"+id))
	}
	return data
}

// unsigned returns the headers of a delivery, with zeros for the signature.
func (v *vendor) unsigned(d verify.Signing) http.Header {
	h := http.Header{}
	for _, p := range v.signed {
		if p.kind == header {
			h.Set(p.text, "msg_"+d.ID)
		}
	}
	if i := slices.IndexFunc(v.events, func(e part) bool { return e.kind == header }); i >= 0 {
		h.Set(v.events[i].text, d.Event)
	}
	stamp := v.Time.Unit.Format(d.Time)
	if v.when.kind == header {
		h.Set(v.when.text, stamp)
	}
	h.Set(v.Signature.Header, v.Signature.Format.Write(verify.MAC{}, stamp))
	return h
}
