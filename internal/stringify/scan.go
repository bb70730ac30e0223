package stringify

import (
	"bytes"
	"math"
	"slices"
)

// scanner validates a text in one pass and finds out whether it is canonical.
type scanner struct {
	Checked
	pos   int
	names [][]byte // of the members of all open objects, in canonical spelling; those of the innermost last
}

// document scans one value with only white space around it.
func (s *scanner) document() error {
	s.space()
	if err := s.value(0); err != nil {
		return err
	}
	s.space()
	if s.pos < len(s.src) {
		return ErrSyntax
	}
	return nil
}

// value scans one value inside depth objects and arrays.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		_, err := s.text()
		return err
	case c == '{':
		return s.object(depth + 1)
	case c == '[':
		return s.list(depth+1, ']', func() error { return s.value(depth + 1) })
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return ErrSyntax
}

func (s *scanner) object(depth int) error {
	first, last := len(s.names), uint32(0)
	err := s.list(depth, '}', func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		s.names = append(s.names, name)
		position := arrayIndex(name)
		s.canonical = s.canonical && position >= last
		last = position
		s.space()
		if s.peek() != ':' {
			return ErrSyntax
		}
		s.pos++
		s.space()
		return s.value(depth)
	})
	if err != nil {
		return err
	}
	own := s.names[first:]
	s.names = s.names[:first]
	if hasEqual(own) {
		return ErrDuplicate
	}
	return nil
}

// hasEqual reports whether two of the names are equal. It may reorder them.
func hasEqual(names [][]byte) bool {
	if len(names) > 16 {
		slices.SortFunc(names, bytes.Compare)
		return len(slices.CompactFunc(names, bytes.Equal)) < len(names)
	}
	for i, name := range names { // sorting, which moves pointers, is slower
		for _, other := range names[:i] {
			if bytes.Equal(name, other) {
				return true
			}
		}
	}
	return false
}

// list scans elements between brackets, with commas between them.
func (s *scanner) list(depth int, end byte, element func() error) error {
	if depth > MaxDepth {
		return ErrDepth
	}
	s.pos++
	s.space()
	if s.peek() == end {
		s.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		s.space()
		c := s.peek()
		if c != ',' && c != end {
			return ErrSyntax
		}
		s.pos++
		if c == end {
			return nil
		}
		s.space()
	}
}

// name scans a member's name and returns its canonical spelling: "a" and "\u0061" are one.
func (s *scanner) name() ([]byte, error) {
	from := s.pos
	if s.peek() != '"' {
		return nil, ErrSyntax
	}
	escaped, err := s.text()
	if err != nil {
		return nil, err
	}
	name := s.src[from:s.pos]
	if escaped {
		name, _ = appendText(nil, name, 0)
	}
	return name[1 : len(name)-1], nil
}

// notIndex is the position of a name that isn't an array index. It sorts after all indices.
const notIndex = math.MaxUint32

// arrayIndex returns the name as an array index: a canonical decimal in 0 … 2³²−2 (ECMA-262,
// section 6.1.7), or notIndex.
func arrayIndex(name []byte) uint32 {
	if len(name) == 0 || len(name) > 10 || name[0] == '0' && len(name) > 1 {
		return notIndex
	}
	n := uint64(0)
	for _, c := range name {
		if c < '0' || c > '9' {
			return notIndex
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(min(n, notIndex))
}

// text scans a string from its opening quote and reports whether it has escapes.
func (s *scanner) text() (escaped bool, err error) {
	var room [12]byte
	for s.pos = skipPlain(s.src, s.pos+1); s.pos < len(s.src); s.pos = skipPlain(s.src, s.pos) {
		switch s.src[s.pos] {
		case '"':
			s.pos++
			return escaped, nil
		case '\\':
			r, size := unescape(s.src[s.pos:])
			if size == 0 {
				return false, ErrSyntax
			}
			escaped = true
			s.canonical = s.canonical && string(appendQuoted(room[:0], r)) == string(s.src[s.pos:s.pos+size])
			s.pos += size
		default: // a control character
			return false, ErrSyntax
		}
	}
	return false, ErrSyntax
}

// number scans a number.
func (s *scanner) number() error {
	from := s.pos
	end, exponent, ok := skipNumber(s.src, from)
	s.pos = end
	if !ok {
		return ErrSyntax
	}
	// Only numbers grow: 1e20 becomes 21 digits. Without an exponent, the shortest digits of a
	// double are at most as many as the given ones, or one more by rounding up:
	// 99999999999999999999 has 20 and becomes 21.
	if length := end - from; exponent {
		s.growth += max(0, longestNumber-length)
	} else if length > 15 {
		s.growth++
	}
	s.canonical = s.canonical && isCanonicalNumber(s.src[from:end])
	return nil
}

// skipNumber returns the end of the number at i (RFC 8259, section 6), and whether it has an
// exponent. If it isn't a number, it returns the offset of the mistake.
func skipNumber(src []byte, i int) (end int, exponent, ok bool) {
	if src[i] == '-' {
		i++
	}
	if i < len(src) && src[i] == '0' {
		i++
	} else if i, ok = skipDigits(src, i); !ok {
		return i, false, false
	}
	if i < len(src) && src[i] == '.' {
		if i, ok = skipDigits(src, i+1); !ok {
			return i, false, false
		}
	}
	if i == len(src) || src[i]|0x20 != 'e' {
		return i, false, true
	}
	if i++; i < len(src) && (src[i] == '+' || src[i] == '-') {
		i++
	}
	i, ok = skipDigits(src, i)
	return i, true, ok
}

// skipDigits returns the end of the digits at i, and whether there are any.
func skipDigits(src []byte, i int) (end int, ok bool) {
	from := i
	for i < len(src) && src[i]-'0' <= 9 {
		i++
	}
	return i, i > from
}

func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.src[s.pos:], []byte(word)) {
		return ErrSyntax
	}
	s.pos += len(word)
	return nil
}

// peek returns the next byte; 0 at the end, which is no valid byte.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

// space skips white space. A canonical text has none.
func (s *scanner) space() {
	from := s.pos
	if s.pos = skipSpace(s.src, from); s.pos > from {
		s.canonical, s.spaced = false, true
	}
}

func skipSpace(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\t' || src[i] == '\n' || src[i] == '\r') {
		i++
	}
	return i
}
