package stringify

import (
	"cmp"
	"slices"
	"sync"
)

// scanner validates a text in one pass and finds out whether it is canonical.
type scanner struct {
	src       []byte
	pos       int
	canonical bool
	spaced    bool // there is white space between tokens or around the value
	numbers   int  // up to this offset all numbers are canonical
	growth    int  // how much longer the canonical form may be; see number

	// members has the members of all open objects, those of the innermost last.
	members []member
	// unescaped holds the decoded names of those with escapes.
	unescaped []byte
	table     []uint32 // of duplicated(), kept for the next object

	// Initial memory of members and table: enough for most bodies.
	few   [32]member
	small [64]uint32

	// ordered has the members of each object that isn't in canonical order, sorted. The map sorted
	// has their place in it, by the offset of the object's opening brace.
	ordered []member
	sorted  map[uint32]span
}

// member is one member of an object, as offsets into the text; bodies are far below 4 GiB.
type member struct {
	at       uint32 // of the name's opening quote
	name     uint32 // of the decoded name; from len(src) on it is in unescaped
	nameLen  uint32
	position uint32 // the name as an array index, or notIndex
}

// span is a part of scanner.ordered.
type span struct{ from, to uint32 }

// scanners holds scanners for reuse: each is a kilobyte, and is needed for a microsecond.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

func newScanner(src []byte) *scanner {
	s := scanners.Get().(*scanner)
	s.reset()
	s.src, s.canonical = src, true
	return s
}

// reset drops everything, also the memory for a large body.
func (s *scanner) reset() {
	s.src, s.pos, s.canonical, s.spaced, s.numbers, s.growth = nil, 0, false, false, 0, 0
	s.members, s.table = s.few[:0], s.small[:]
	s.unescaped, s.ordered, s.sorted = nil, nil, nil
}

// release makes the scanner reusable. It keeps no reference to the text.
func (s *scanner) release() {
	s.reset()
	scanners.Put(s)
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
		return s.array(depth + 1)
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

func (s *scanner) array(depth int) error {
	if depth > MaxDepth {
		return ErrDepth
	}
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case ']':
			s.pos++
			return nil
		default:
			return ErrSyntax
		}
	}
}

func (s *scanner) object(depth int) error {
	if depth > MaxDepth {
		return ErrDepth
	}
	open, first := s.pos, len(s.members)
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	inOrder, last := true, int64(-1) // last: the greatest position so far; notIndex after the indices
	for {
		m, err := s.name()
		if err != nil {
			return err
		}
		s.members = append(s.members, m)
		if position := int64(m.position); position < last {
			inOrder = false
		} else {
			last = position
		}
		s.space()
		if s.peek() != ':' {
			return ErrSyntax
		}
		s.pos++
		s.space()
		if err := s.value(depth); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
			continue
		case '}':
			s.pos++
		default:
			return ErrSyntax
		}
		break
	}
	own := s.members[first:]
	if s.duplicated(own) {
		return ErrDuplicate
	}
	if !inOrder {
		s.canonical = false
		s.keepSorted(open, own)
	}
	s.members = s.members[:first]
	return nil
}

// keepSorted notes the canonical order of an object's members: indices in ascending order, then the
// others in the given order.
func (s *scanner) keepSorted(open int, own []member) {
	if s.sorted == nil {
		s.sorted = make(map[uint32]span)
	}
	slices.SortFunc(own, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.position, b.position), cmp.Compare(a.at, b.at))
	})
	from := len(s.ordered)
	s.ordered = append(s.ordered, own...)
	s.sorted[uint32(open)] = span{uint32(from), uint32(len(s.ordered))}
}

// name scans a member's name.
func (s *scanner) name() (member, error) {
	at := s.pos
	if s.peek() != '"' {
		return member{}, ErrSyntax
	}
	escaped, err := s.text()
	if err != nil {
		return member{}, err
	}
	from, name := at+1, s.src[at+1:s.pos-1]
	if escaped {
		kept := len(s.unescaped)
		s.unescaped = appendUnescaped(s.unescaped, name)
		from, name = len(s.src)+kept, s.unescaped[kept:]
	}
	return member{at: uint32(at), name: uint32(from), nameLen: uint32(len(name)), position: arrayIndex(name)}, nil
}

func (s *scanner) nameOf(m member) []byte {
	if from := int(m.name); from < len(s.src) {
		return s.src[from : from+int(m.nameLen)]
	}
	from := int(m.name) - len(s.src)
	return s.unescaped[from : from+int(m.nameLen)]
}

// text scans a string from its opening quote and reports whether it has escapes.
func (s *scanner) text() (escaped bool, err error) {
	src, i := s.src, skipPlain(s.src, s.pos+1)
	for ; i < len(src); i = skipPlain(src, i) {
		switch src[i] {
		case '"':
			s.pos = i + 1
			return escaped, nil
		case '\\':
			e := unescape(src[i:])
			if e.len == 0 {
				s.pos = i
				return false, ErrSyntax
			}
			escaped = true
			s.canonical = s.canonical && e.canonical
			i += e.len
		default: // a control character
			s.pos = i
			return false, ErrSyntax
		}
	}
	s.pos = i
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
	if s.canonical {
		if s.canonical = isCanonicalNumber(s.src[from:end]); s.canonical {
			s.numbers = end
		}
	}
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
	if end := s.pos + len(word); end <= len(s.src) && string(s.src[s.pos:end]) == word {
		s.pos = end
		return nil
	}
	return ErrSyntax
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
	if s.pos < len(s.src) && s.src[s.pos] <= ' ' {
		from := s.pos
		s.pos = skipSpace(s.src, from)
		if s.pos > from {
			s.canonical, s.spaced = false, true
		}
	}
}

func skipSpace(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\t' || src[i] == '\n' || src[i] == '\r') {
		i++
	}
	return i
}
