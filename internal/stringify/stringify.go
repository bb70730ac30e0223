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
	if !utf8.Valid(src) {
		return Checked{}, ErrUTF8
	}
	var room [32][]byte // enough for most bodies
	s := scanner{Checked: Checked{src: src, canonical: true}, names: room[:0]}
	if err := s.document(); err != nil {
		return Checked{}, fmt.Errorf("%w (at byte %d)", err, s.pos)
	}
	return s.Checked, nil
}

// Checked is a validated JSON value.
type Checked struct {
	src       []byte
	canonical bool
	spaced    bool // there is white space between tokens or around the value
	growth    int  // how much longer the canonical form may be; see scanner.number
}

// Size returns how many bytes [Checked.Text] allocates: 0 if the text is canonical, else an upper
// bound of the canonical form's length.
func (c Checked) Size() int {
	if c.canonical {
		return 0
	}
	return len(c.src) + c.growth
}

// Text returns the canonical form.
func (c Checked) Text() Text {
	if c.canonical {
		return c.src
	}
	w := writer{src: c.src, out: make([]byte, 0, c.Size())}
	w.value(skipSpace(c.src, 0))
	return w.out
}

// Compact returns the value as it was written, without white space between tokens: numbers, escapes
// and the order of members stay. Without such white space it is src itself.
func (c Checked) Compact() Text {
	if !c.spaced {
		return c.src
	}
	out := make([]byte, 0, len(c.src))
	for i := skipSpace(c.src, 0); i < len(c.src); i = skipSpace(c.src, i) {
		from := i
		if c.src[i] == '"' {
			i = skipString(c.src, i)
		} else {
			for i++; i < len(c.src) && c.src[i] > ' ' && c.src[i] != '"'; {
				i++
			}
		}
		out = append(out, c.src[from:i]...)
	}
	return out
}

// CompactSize returns how many bytes [Checked.Compact] allocates.
func (c Checked) CompactSize() int {
	if !c.spaced {
		return 0
	}
	return len(c.src)
}
