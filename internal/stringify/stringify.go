// Package stringify is ECMAScript's JSON.stringify(JSON.parse(x)), byte for byte: the text that
// vendors sign if their code is written in JavaScript.
//
// The first pass validates the bytes and finds out whether they already have that form, as bodies
// from JSON.stringify do; then they are used as they are. Otherwise a second pass writes the
// canonical form: members whose names are array indices first, in ascending order (ECMA-262,
// OrdinaryOwnPropertyKeys), numbers as in Number::toString, and strings as in QuoteJSONString.
// Except for the sorting of members, both passes are linear in time and memory.
//
// It refuses more than JSON.parse does, because a signature must not cover a text that two readers
// read differently: a member given twice, at any depth, and nesting deeper than [MaxDepth].
package stringify

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// MaxDepth bounds the nesting of objects and arrays; the outermost is level 1. JSON.stringify in
// Node gives up between 4,000 and 5,000 levels.
const MaxDepth = 512

// The errors of [Parse].
var (
	ErrSyntax    = errors.New("not one JSON value")
	ErrUTF8      = errors.New("not UTF-8")
	ErrDuplicate = errors.New("a member is given twice")
	ErrDepth     = fmt.Errorf("nested deeper than %d levels", MaxDepth)
)

// Parse returns the canonical form of the JSON value in src. If src is canonical, the result is src
// itself and no copy. The error wraps one of those above and has the offset; it never quotes src.
func Parse(src []byte) (Text, error) {
	c, err := Check(src)
	if err != nil {
		return nil, err
	}
	return c.Text(), nil
}

// Check is the first half of [Parse]: it validates the text. The result tells how much memory the
// second half needs.
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

// Size returns how many bytes [Checked.Text] allocates: 0 if the text is canonical, else an upper
// bound of the canonical form's length.
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

// Compact returns the value as it was written, without white space between tokens: numbers, escapes
// and the order of members stay. Without such white space it is src itself. A [Cursor] reads it
// like a canonical text, but its names may have escapes (see [Is]). c must not be used afterwards.
func (c Checked) Compact() Text {
	defer c.scanner.release()
	if c.scanner.canonical || !c.scanner.spaced {
		return c.scanner.src
	}
	return compacted(c.scanner.src)
}

// CompactSize returns how many bytes [Checked.Compact] allocates.
func (c Checked) CompactSize() int {
	if c.scanner.canonical || !c.scanner.spaced {
		return 0
	}
	return len(c.scanner.src)
}
