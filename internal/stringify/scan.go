package stringify

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
)

// scanner validates a text in one pass and finds out whether it is canonical. Each of its methods scans
// one element from i on, and returns its end or the offset of the mistake.
type scanner struct {
	Checked
	names    [][]byte // of all members of open objects, in canonical spelling with quotes; the innermost object's are last
	arranges bool     // the scanner also fills members and objects
	members  []member // of open objects, parallel to names
	objects  []object // those whose members aren't in canonical order, sorted by their ends
}

// member is where a member is in the text.
type member struct {
	position uint32 // its name as an array index, or notIndex
	from, to int
}

// object is an object whose members have to be reordered.
type object struct {
	from, to int
	members  []member // in canonical order
}

// document scans one value with only white space around it.
func (s *scanner) document() (end int, err error) {
	if end, err = s.value(s.space(0), 0); err != nil {
		return end, err
	}
	if end = s.space(end); end < len(s.src) {
		return end, ErrSyntax
	}
	return end, nil
}

// value scans one value inside depth objects and arrays.
func (s *scanner) value(i, depth int) (end int, err error) {
	switch s.at(i) {
	case '"':
		end, _, err = s.text(i)
		return end, err
	case '{', '[':
		return s.container(i, depth+1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(i)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	}
	return i, ErrSyntax
}

// container scans an object or an array.
func (s *scanner) container(i, depth int) (end int, err error) {
	if depth > MaxDepth {
		return i, ErrDepth
	}
	from, isObject, closing := i, s.src[i] == '{', s.src[i]+2 // in ASCII, '{'+2 is '}' and '['+2 is ']'
	if i = s.space(i + 1); s.at(i) == closing {
		return i + 1, nil
	}
	first, last := len(s.names), uint32(0)
	for more := true; more; {
		if isObject {
			begin := i
			if i, err = s.name(i); err != nil {
				return i, err
			}
			position := arrayIndex(s.names[len(s.names)-1])
			s.misordered = s.misordered || position < last
			last = position
			if s.arranges {
				s.members = append(s.members, member{position: position, from: begin})
			}
		}
		if i, err = s.value(i, depth); err != nil {
			return i, err
		}
		if isObject && s.arranges {
			s.members[len(s.members)-1].to = i
		}
		i = s.space(i)
		switch s.at(i) {
		case ',':
			i = s.space(i + 1)
		case closing:
			i++
			more = false
		default:
			return i, ErrSyntax
		}
	}
	if isObject && s.arranges {
		s.arrange(first, from, i)
	}
	own := s.names[first:]
	s.names = s.names[:first]
	if hasEqual(own) {
		return i, ErrDuplicate
	}
	return i, nil
}

// arrange adds the object in src[from:to] to objects if its members, s.members[first:], aren't in
// canonical order.
func (s *scanner) arrange(first, from, to int) {
	byPosition := func(a, b member) int { return cmp.Compare(a.position, b.position) }
	if own := s.members[first:]; !slices.IsSortedFunc(own, byPosition) {
		own = slices.Clone(own)
		slices.SortStableFunc(own, byPosition)
		s.objects = append(s.objects, object{from, to, own})
	}
	s.members = s.members[:first]
}

// hasEqual reports whether two of the names are equal. It may reorder them.
func hasEqual(names [][]byte) bool {
	if len(names) > 16 {
		slices.SortFunc(names, bytes.Compare)
		return len(slices.CompactFunc(names, bytes.Equal)) < len(names)
	}
	marks := uint64(0) // one bit for each name; equal names have the same bit
	for i, name := range names {
		mark := uint64(1) << ((len(name) + 3*int(name[1]) + 5*int(name[len(name)-2])) % 64)
		if marks&mark != 0 && slices.ContainsFunc(names[:i], func(other []byte) bool { return bytes.Equal(name, other) }) {
			return true
		}
		marks |= mark
	}
	return false
}

// name scans a member's name and the colon, and keeps the name's canonical spelling: "a" and
// "\u0061" are one.
func (s *scanner) name(i int) (end int, err error) {
	if s.at(i) != '"' {
		return i, ErrSyntax
	}
	end, escaped, err := s.text(i)
	if err != nil {
		return end, err
	}
	name := s.src[i:end]
	if escaped {
		name = appendTokens(nil, name, false)
	}
	s.names = append(s.names, name)
	if end = s.space(end); s.at(end) != ':' {
		return end, ErrSyntax
	}
	return s.space(end + 1), nil
}

// notIndex is the position of a name that isn't an array index. It sorts after all indices.
const notIndex = math.MaxUint32

// arrayIndex returns a name with its quotes as an array index: a canonical decimal in 0 … 2³²−2
// (ECMA-262, section 6.1.7), or notIndex.
func arrayIndex(quoted []byte) uint32 {
	name := quoted[1 : len(quoted)-1]
	if len(name) == 0 || len(name) > 10 || name[0]-'0' > 9 || name[0] == '0' && len(name) > 1 {
		return notIndex
	}
	n, err := strconv.ParseUint(string(name), 10, 32)
	if err != nil {
		return notIndex
	}
	return uint32(n)
}

// text scans a string from its opening quote and reports whether it has escapes.
func (s *scanner) text(i int) (end int, escaped bool, err error) {
	var room [12]byte
	for i = skipPlain(s.src, i+1); i < len(s.src); i = skipPlain(s.src, i) {
		switch s.src[i] {
		case '"':
			return i + 1, escaped, nil
		case '\\':
			r, size := unescape(s.src[i:])
			if size == 0 {
				return i, false, ErrSyntax
			}
			escaped = true
			s.canonical = s.canonical && (size == 2 && r != '/' || string(appendQuoted(room[:0], r)) == string(s.src[i:i+size]))
			i += size
		default: // a control character
			return i, false, ErrSyntax
		}
	}
	return i, false, ErrSyntax
}

// number scans a number.
func (s *scanner) number(i int) (end int, err error) {
	end, exponent, ok := skipNumber(s.src, i)
	if !ok {
		return end, ErrSyntax
	}
	// Only numbers grow: 1e20 becomes 21 digits. Without an exponent, the shortest digits of a
	// double are at most as many as the given ones, or one more by rounding up:
	// 99999999999999999999 has 20 and becomes 21.
	if length := end - i; exponent {
		s.growth += max(0, longestNumber-length)
	} else if length > 15 {
		s.growth++
	}
	s.canonical = s.canonical && isCanonicalNumber(s.src[i:end], exponent)
	return end, nil
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

func (s *scanner) literal(i int, word string) (end int, err error) {
	if !bytes.HasPrefix(s.src[i:], []byte(word)) {
		return i, ErrSyntax
	}
	return i + len(word), nil
}

// at returns the byte at i; 0 at the end, which is no valid byte.
func (s *scanner) at(i int) byte {
	if i < len(s.src) {
		return s.src[i]
	}
	return 0
}

// space skips white space. A canonical text has none.
func (s *scanner) space(i int) (end int) {
	if end = skipSpace(s.src, i); end > i {
		s.spaced = true
	}
	return end
}

func skipSpace(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] < ' ' && (src[i] == '\t' || src[i] == '\n' || src[i] == '\r')) {
		i++
	}
	return i
}
