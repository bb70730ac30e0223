package diagnosis

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// body is the captured body, or one that may have been sent in its place.
type body struct {
	raw    []byte
	text   stringify.Text // canonical; nil: it isn't one JSON object
	err    error          // of parsing it
	causes []Cause        // of the difference from the captured body
}

// examineBody adds the step about the body, and compares it with its canonical form.
func (d *diagnoser) examineBody() {
	raw := d.Delivery.Body
	text, err := d.endpoint.Provider.Parse(d.Delivery.header(), raw)
	switch {
	case len(raw) == 0:
		d.step("body", "empty")
	case err != nil:
		d.step("body", "can't be read: %v", err)
	case !text.IsObject():
		d.step("body", "JSON, but not an object")
		text = nil
	case d.isDescribed():
		d.step("body", "one JSON object")
	case bytes.Equal(raw, text):
		d.step("body", "one JSON object in its canonical form, which is signed: %d bytes", len(text))
	case bytes.Equal(bytes.TrimSpace(raw), text):
		d.step("body", "one JSON object in its canonical form, which is signed: %d bytes; the white space around it is harmless", len(text))
	default:
		d.step("body", "one JSON object; its canonical form, which is signed, has %d bytes and %s. By itself that is harmless", len(text), difference(raw, text))
	}
	d.body = body{raw: raw, text: text, err: err}
}

// difference shows where a text first differs from its canonical form.
func difference(raw, text []byte) string {
	i := 0
	for i < len(raw) && i < len(text) && raw[i] == text[i] {
		i++
	}
	return fmt.Sprintf("differs first at byte %d: %s instead of %s", i, excerpt(raw[i:]), excerpt(text[i:]))
}

func excerpt(text []byte) string {
	if len(text) == 0 {
		return "nothing"
	}
	const limit = 12
	if len(text) > limit {
		return strconv.QuoteToASCII(string(text[:limit])) + "…"
	}
	return strconv.QuoteToASCII(string(text))
}

// members returns an object's members; none of anything else.
func members(text stringify.Text) verify.Object {
	list, _ := verify.ParseObject(text)
	return list
}

// bodies returns the body as captured, and then those that may have been sent in its place.
func (b body) bodies() iter.Seq[body] {
	return func(yield func(body) bool) {
		if !yield(b) {
			return
		}
		for raw, c := range otherTexts(slices.Concat(bodyReadings, b.withoutMember()), string(b.raw)) {
			text, err := stringify.Parse([]byte(raw))
			if errors.Is(err, stringify.ErrSyntax) { // one more round is enough: a log that quotes another
				raw = unquote(raw)
				text, err = stringify.Parse([]byte(raw))
			}
			c.Says = "the signature is right for the body " + c.Says
			if err == nil && text.IsObject() && !yield(body{[]byte(raw), text, nil, []Cause{c}}) {
				return
			}
		}
	}
}

// maxMembers is the size of the largest object whose members are left out in turn.
const maxMembers = 32

// withoutMember returns readings of the body without one of its members, which may have been added.
func (b body) withoutMember() (all []reading) {
	list := members(b.text)
	if len(list) > maxMembers {
		return nil
	}
	for i, m := range list {
		without := func(string) string { return string(slices.Delete(slices.Clone(list), i, i+1).Text()) }
		all = append(all, reading{"added_member", "without its member " + m.Name, "something on the way adds the member: have it pass the body on unchanged", one(without)})
	}
	return all
}
