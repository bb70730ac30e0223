// Package stringify is ECMAScript's JSON.stringify(JSON.parse(x)), byte for byte: the text that
// vendors sign whose code is written in it.
//
// One pass over the bytes checks them and finds out whether they already are that text, as a body
// that came out of JSON.stringify is; then nothing is written anew. Otherwise a second pass writes
// the canonical form: members whose names are array indices first and in ascending order
// (ECMA-262, OrdinaryOwnPropertyKeys), numbers as Number::toString prints them, strings as
// QuoteJSONString does. Both passes are linear in time and memory but for the sorting of members.
//
// More is refused than JSON.parse refuses, because a text that two readers read differently must
// not carry a signature: a member given twice, at any depth, and nesting past [MaxDepth].
package stringify

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest; the outermost is level 1. Node's own
// JSON.stringify gives up between 4,000 and 5,000 levels, so no vendor can sign deeper.
const MaxDepth = 512

// The reasons for which [Parse] refuses a text. Each error it returns wraps one of them.
var (
	ErrSyntax    = errors.New("not one JSON value")
	ErrUTF8      = errors.New("not UTF-8")
	ErrDuplicate = errors.New("a member is given twice")
	ErrDepth     = fmt.Errorf("nested deeper than %d levels", MaxDepth)
)

// Parse returns the canonical form of the one JSON value in src. Where src is already canonical
// the result is src itself, not a copy. The error wraps one of the reasons above and names the
// byte at which it was found; it never quotes src.
func Parse(src []byte) (Text, error) {
	c, err := Check(src)
	if err != nil {
		return nil, err
	}
	return c.Text(), nil
}

// Check is the first half of [Parse]: it validates the text. A caller that limits memory learns from the result
// how much the second half allocates.
func Check(src []byte) (Checked, error) {
	if len(src) > math.MaxInt32 {
		return Checked{}, fmt.Errorf("%w: longer than 2 GiB", ErrSyntax)
	}
	if !utf8.Valid(src) {
		return Checked{}, ErrUTF8
	}
	s := newScanner(src)
	if err := s.document(); err != nil {
		defer s.release()
		return Checked{}, fmt.Errorf("%w (at byte %d)", err, s.pos)
	}
	return Checked{s}, nil
}

// Checked is a validated JSON value.
type Checked struct{ scanner *scanner }

// Size returns how many bytes [Checked.Text] allocates: 0 where the text is canonical already, otherwise an
// upper bound of the canonical form's length.
func (c Checked) Size() int {
	if c.scanner.canonical {
		return 0
	}
	return len(c.scanner.src) + c.scanner.growth
}

// Text returns the canonical form. c must not be used afterwards.
func (c Checked) Text() Text {
	defer c.scanner.release()
	if c.scanner.canonical {
		return c.scanner.src
	}
	return c.scanner.rewritten(c.Size())
}

// Compact returns the value as it was written, the white space between tokens left out: numbers, escapes
// and the order of members stay. Where there is no such white space it is src itself. A [Cursor] reads
// it like a canonical text, but names stand in it as they were written (see [Is]). After that c must
// not be used any more.
func (c Checked) Compact() Text {
	defer c.scanner.release()
	if c.scanner.canonical || !c.scanner.spaced {
		return c.scanner.src
	}
	return compacted(c.scanner.src)
}

// CompactSize is how many bytes [Checked.Compact] allocates.
func (c Checked) CompactSize() int {
	if c.scanner.canonical || !c.scanner.spaced {
		return 0
	}
	return len(c.scanner.src)
}
