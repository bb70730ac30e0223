package stringify

import (
	"cmp"
	"slices"
)

// appendTokens appends the tokens of a valid text without white space between them: each in its
// canonical form, or as it was sent.
func appendTokens(dst, src []byte, asSent bool) []byte {
	for i := skipSpace(src, 0); i < len(src); i = skipSpace(src, i) {
		from, c := i, src[i]
		switch {
		case c == '"' && !asSent:
			dst, i = appendText(dst, src, i)
			continue
		case c == '"':
			i = skipString(src, i)
		case isNumeric(c):
			end, exponent, _ := skipNumber(src, i)
			if i = end; !asSent {
				dst = appendNumber(dst, src[from:i], exponent)
				continue
			}
		default: // punctuation and literals
			for i++; i < len(src) && src[i] > ' ' && src[i] != '"' && !isNumeric(src[i]); {
				i++
			}
		}
		dst = append(dst, src[from:i]...)
	}
	return dst
}

// appendText appends the canonical form of the string at i, and returns its end.
func appendText(dst, src []byte, i int) (text []byte, end int) {
	from := i // the rest isn't appended yet
	for i = skipPlain(src, i+1); src[i] != '"'; i = skipPlain(src, i) {
		r, size := unescape(src[i:])
		dst = appendQuoted(append(dst, src[from:i]...), r)
		i += size
		from = i
	}
	return append(dst, src[from:i+1]...), i + 1
}

// sorter puts the members of all objects of a text into canonical order. The text must be canonical
// otherwise.
type sorter struct {
	text    []byte
	members []member // of all open objects, those of the innermost last
	scratch []byte
}

// member is a member of an object, with the comma behind it.
type member struct {
	position uint32 // its name as an array index, or notIndex
	from, to int
}

// value sorts the value at i and returns its end.
func (s *sorter) value(i int) (end int) {
	switch s.text[i] {
	case '{':
		return s.object(i)
	case '[':
		for i++; s.text[i] != ']'; {
			if i = s.value(i); s.text[i] == ',' {
				i++
			}
		}
		return i + 1
	}
	return skipValue(s.text, i)
}

// object sorts the members' values first, and then the members.
func (s *sorter) object(i int) (end int) {
	first, inOrder, last := len(s.members), true, uint32(0)
	for i++; s.text[i] != '}'; {
		m := member{from: i}
		i = skipString(s.text, i)
		m.position = arrayIndex(s.text[m.from:i])
		inOrder = inOrder && m.position >= last
		last = m.position
		i = s.value(i + 1)
		m.to = i + 1
		s.members = append(s.members, m)
		if s.text[i] == ',' {
			i++
		}
	}
	own := s.members[first:]
	s.members = s.members[:first]
	if !inOrder {
		s.text[i] = ',' // behind the last member, too, while they move
		s.sort(own)
		s.text[i] = '}'
	}
	return i + 1
}

// sort puts an object's members into canonical order: indices in ascending order, then the others in
// the given order. It copies the largest member once, the others twice: at each of many levels out
// of order, the largest may be nearly the whole text.
func (s *sorter) sort(own []member) {
	largest := slices.MaxFunc(own, func(a, b member) int { return cmp.Compare(a.to-a.from, b.to-b.from) })
	start := own[0].from
	s.scratch = append(append(s.scratch[:0], s.text[start:largest.from]...), s.text[largest.to:own[len(own)-1].to]...)
	slices.SortStableFunc(own, func(a, b member) int { return cmp.Compare(a.position, b.position) })
	at := start
	for _, m := range own {
		if m == largest {
			copy(s.text[at:], s.text[m.from:m.to])
		}
		at += m.to - m.from
	}
	at = start
	for _, m := range own {
		size, from := m.to-m.from, m.from-start
		if m.from > largest.from {
			from -= largest.to - largest.from
		}
		if m != largest {
			copy(s.text[at:], s.scratch[from:from+size])
		}
		at += size
	}
}
