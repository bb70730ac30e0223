package stringify

import "slices"

// appendArranged appends the canonical form of a part of the text, with the members of objects in
// canonical order.
func (s *scanner) appendArranged(dst []byte, from, to int) []byte {
	for {
		i, _ := slices.BinarySearchFunc(s.objects, from, func(o object, from int) int { return o.from - from })
		if i == len(s.objects) || s.objects[i].from >= to {
			return appendTokens(dst, s.src[from:to], false)
		}
		o := s.objects[i]
		dst = append(appendTokens(dst, s.src[from:o.from], false), '{')
		for n, m := range o.members {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = s.appendArranged(dst, m.from, m.to)
		}
		from = o.to - 1 // its closing brace
	}
}

// appendTokens appends the tokens of a valid text without white space between them: each in its
// canonical form, or as it was sent.
func appendTokens(dst, src []byte, asSent bool) []byte {
	from := 0 // the rest isn't appended yet
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c <= ' ':
			dst = append(dst, src[from:i]...)
			i = skipSpace(src, i)
			from = i
		case c == '"' && asSent:
			i = skipString(src, i)
		case c == '"':
			for i = skipPlain(src, i+1); src[i] != '"'; i = skipPlain(src, i) {
				r, size := unescape(src[i:])
				dst = appendQuoted(append(dst, src[from:i]...), r)
				i += size
				from = i
			}
			i++
		case isNumeric(c):
			end, exponent, _ := skipNumber(src, i)
			if number := src[i:end]; !asSent && (exponent || !isPlain(number)) {
				dst = appendNumber(append(dst, src[from:i]...), number)
				from = end
			}
			i = end
		default: // punctuation and literals
			i++
		}
	}
	return append(dst, src[from:]...)
}
