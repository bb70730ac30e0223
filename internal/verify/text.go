package verify

import (
	"bytes"
	"fmt"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// ErrCaseVariant is a contradiction for decoders that ignore case, such as Go's encoding/json: they
// read the variant instead of the member that was verified.
var ErrCaseVariant = fmt.Errorf("%w: a member's name differs from another's in case alone", Contradiction)

// HasCaseVariant reports whether a body has a member whose name differs from one of the names, and
// only in case (Unicode's simple case folding).
func HasCaseVariant(body stringify.Text, names ...string) (found bool) {
	c := stringify.Cursor{Text: body}
	c.Object(func(is []byte) {
		for _, name := range names {
			found = found || string(is) != name && bytes.EqualFold(is, []byte(name))
		}
	})
	return found
}

// TextOf returns the text of a string or a number, and "" for any other value.
func TextOf(value stringify.Text) string {
	if value.IsString() || value.IsNumber() {
		return value.String()
	}
	return ""
}
