// Package stringify is ECMAScript's JSON.stringify(JSON.parse(x)), byte for byte: the text that
// vendors sign if their code is written in JavaScript.
//
// The first pass validates the text and finds out whether it already has that form, as bodies from
// JSON.stringify do. Then it is used as it is. Otherwise another pass writes the canonical form: members
// whose names are array indices come first, in ascending order (ECMA-262, OrdinaryOwnPropertyKeys);
// numbers are as in Number::toString, and strings as in QuoteJSONString. If members have to be
// reordered, a pass between the two finds them. Except for sorting, all passes are linear in time and
// memory.
//
// The package refuses more than JSON.parse does: a member given twice, at any depth, because two
// readers could read it differently, and nesting deeper than [MaxDepth].
package stringify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// Parse returns the canonical form of the JSON value in src. If src is clearly canonical, the result
// is src itself, not a copy. The error wraps one of those above and has the offset; it never quotes src.
func Parse(src []byte) (Text, error) {
	c, err := Check(src, false)
	if err != nil {
		return nil, err
	}
	return c.Text(), nil
}

// Check is the first half of [Parse]: it validates the text. [Checked.Size] is the memory that the
// second half needs. If asSent is set, the result's text is the value as it was sent, without white
// space between tokens: numbers, escapes and the order of members stay.
func Check(src []byte, asSent bool) (Checked, error) {
	if !utf8.Valid(src) {
		return Checked{}, ErrUTF8
	}
	s := scanners.Get().(*scanner)
	defer s.reset()
	s.src, s.asSent, s.canonical = src, asSent, true
	if end, err := s.document(); err != nil {
		return Checked{}, fmt.Errorf("%w (at byte %d of %d)", err, end, len(src))
	}
	s.canonical = s.canonical && !s.spaced && !s.misordered
	return s.Checked, nil
}

// scanners holds scanners for reuse, with room for the names of most bodies: a kilobyte each.
var scanners = sync.Pool{New: func() any { return &scanner{names: make([][]byte, 0, 32)} }}

// reset returns the scanner to the pool, unless an unusual body has made it large.
func (s *scanner) reset() {
	names := s.names
	if *s = (scanner{}); cap(names) == 32 {
		clear(names[:32])
		s.names = names[:0]
		scanners.Put(s)
	}
}

// Checked is a validated JSON value.
type Checked struct {
	src        []byte
	asSent     bool
	canonical  bool // while scanning: all strings and numbers so far are canonical
	spaced     bool // there is white space between tokens or around the value
	misordered bool // an object's members aren't in canonical order
	growth     int  // how much longer the canonical form may be; see scanner.number
}

// Size returns how many bytes [Checked.Text] allocates: 0 if the text is src itself, else an upper
// bound for the text's length.
func (c Checked) Size() int {
	switch {
	case c.canonical, c.asSent && !c.spaced:
		return 0
	case c.asSent:
		return len(c.src)
	}
	return len(c.src) + c.growth
}

// Text returns the canonical form, or the value as it was sent.
func (c Checked) Text() Text {
	size := c.Size()
	if size == 0 {
		return c.src
	}
	text := make([]byte, 0, size)
	if c.asSent || !c.misordered {
		return appendTokens(text, c.src, c.asSent)
	}
	s := scanner{Checked: c, arranges: true}
	_, _ = s.document() // no error: it is the same text
	slices.SortFunc(s.objects, func(a, b object) int { return cmp.Compare(a.from, b.from) })
	return s.appendArranged(text, 0, len(c.src))
}
