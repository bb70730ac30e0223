package verify

import (
	"bytes"
	"fmt"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// ErrCaseVariant is the contradiction that decoders which fold case would fall for, as Go's encoding/json
// does: they would read the variant in place of the member that is signed, or that was compared with what
// is signed.
var ErrCaseVariant = fmt.Errorf("%w: a member's name differs from another's in case alone", Contradiction)

// IsCaseVariant reports whether a member's name, escapes as they stand, equals one of the names
// under Unicode's simple case folding without being it.
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

// Text returns a string as it reads and a number as it is written; "" for anything else, which no
// vendor uses where a text is wanted.
func Text(value stringify.Text) string { return string(appendText(nil, value)) }

func appendText(dst []byte, value stringify.Text) []byte {
	if value.IsString() || value.IsNumber() {
		return value.AppendString(dst)
	}
	return dst
}

// Texts returns the text of each value, and the last one as it is. They are parts of one string, which is
// one allocation.
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
