package verify

import (
	"bytes"
	"fmt"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// ErrCaseVariant is a contradiction that only some decoders see: those that ignore case, such as
// Go's encoding/json, would read the variant instead of the member that was verified.
var ErrCaseVariant = fmt.Errorf("%w: a member's name differs from another's in case alone", Contradiction)

// IsCaseVariant reports whether a member's name, which may have escapes, differs from one of the
// names, and only in case (Unicode's simple case folding).
func IsCaseVariant(name []byte, names [][]byte) bool {
	if bytes.IndexByte(name, '\\') >= 0 {
		name = stringify.Text(fmt.Appendf(nil, `"%s"`, name)).AppendString(nil)
	}
	for _, other := range names {
		if bytes.EqualFold(name, other) {
			return !bytes.Equal(name, other)
		}
	}
	return false
}

// Text returns the text of a string or a number; "" for any other value, which no vendor uses for a
// text.
func Text(value stringify.Text) string { return string(appendText(nil, value)) }

func appendText(dst []byte, value stringify.Text) []byte {
	if value.IsString() || value.IsNumber() {
		return value.AppendString(dst)
	}
	return dst
}

// Texts returns the text of each value, and last as it is. All are parts of one string: one
// allocation.
func Texts(first, second, third, fourth stringify.Text, last []byte) (a, b, c, d, e string) {
	var room [256]byte
	joined := appendText(room[:0], first)
	i := len(joined)
	joined = appendText(joined, second)
	j := len(joined)
	joined = appendText(joined, third)
	k := len(joined)
	joined = appendText(joined, fourth)
	l := len(joined)
	all := string(append(joined, last...))
	return all[:i], all[i:j], all[j:k], all[k:l], all[l:]
}
