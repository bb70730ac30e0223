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

// body is a body as it may have been sent.
type body struct {
	raw    []byte
	text   stringify.Text // nil: it isn't one JSON object
	err    error          // of parsing it
	causes []Cause        // of the difference from the captured body
}

// examineBody adds the step about the body and its canonical form.
func (d *diagnoser) examineBody() {
	raw := d.Delivery.Body
	text, err := d.at.Provider.Parse(d.Delivery.header(), raw)
	switch {
	case len(raw) == 0:
		d.step("body", "empty")
	case err != nil:
		d.step("body", "can't be signed: %v", err)
	case !text.IsObject():
		d.step("body", "JSON, but not an object")
		text = nil
	case d.isDescribed():
		d.step("body", "one JSON object")
	case bytes.Equal(raw, text):
		d.step("body", "one JSON object, in the canonical form that is signed: %d bytes", len(text))
	case bytes.Equal(bytes.TrimSpace(raw), text):
		d.step("body", "one JSON object, in the canonical form that is signed: %d bytes, with white space around it, which is harmless", len(text))
	default:
		d.step("body", "one JSON object; its canonical form, which is signed, has %d bytes and %s. By itself that is harmless", len(text), difference(raw, text))
	}
	d.body = body{raw: raw, text: text, err: err}
}

// difference shows the first place in which a text differs from its canonical form.
func difference(raw, text []byte) string {
	i := 0
	for i < len(raw) && i < len(text) && raw[i] == text[i] {
		i++
	}
	return fmt.Sprintf("differs first at byte %d: %s instead of %s", i, excerpt(raw[i:]), excerpt(text[i:]))
}

// excerpt quotes the beginning of a text.
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

// members returns an object's members, of anything else none.
func members(text stringify.Text) verify.Object {
	list, _ := verify.ParseObject(text)
	return list
}

// bodies returns the body as captured, and as it may have been sent.
func (b body) bodies() iter.Seq[body] {
	return func(yield func(body) bool) {
		if !yield(b) {
			return
		}
		for raw, c := range others(slices.Concat(repairs, b.withoutMember()), string(b.raw)) {
			text, err := stringify.Parse([]byte(raw))
			if errors.Is(err, stringify.ErrSyntax) { // once more is enough: a log's escapes around another's
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

// maxMembers is the largest number of members of which each in turn is left out.
const maxMembers = 32

// withoutMember undoes the addition of each member.
func (b body) withoutMember() (all []reading) {
	list := members(b.text)
	if len(list) > maxMembers {
		return nil
	}
	for i, m := range list {
		without := func(string) string { return string(slices.Delete(slices.Clone(list), i, i+1).Text()) }
		all = append(all, reading{"added_member", "without its member " + m.Name, "something on the way adds the member: have it pass on the bytes", one(without)})
	}
	return all
}
