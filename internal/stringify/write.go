package stringify

import (
	"cmp"
	"slices"
)

// writer writes the canonical form of a valid text.
type writer struct {
	src     []byte
	out     []byte
	members []member // of all open objects, those of the innermost last
	scratch []byte
}

// member is a member of an object in out, with the comma at its end.
type member struct {
	position uint32 // its name as an array index, or notIndex
	from, to int
}

// value writes the value at i and returns its end.
func (w *writer) value(i int) (end int) {
	switch w.src[i] {
	case '"':
		w.out, end = appendText(w.out, w.src, i)
		return end
	case '{':
		return w.object(i)
	case '[':
		return w.array(i)
	}
	end = skipValue(w.src, i)
	if scalar := Text(w.src[i:end]); scalar.IsNumber() {
		w.out = appendNumber(w.out, scalar)
	} else {
		w.out = append(w.out, scalar...)
	}
	return end
}

func (w *writer) array(i int) int {
	w.out = append(w.out, '[')
	for i++; ; {
		i = skipSpace(w.src, i)
		switch c := w.src[i]; c {
		case ',', ']':
			w.out = append(w.out, c)
			if i++; c == ']' {
				return i
			}
		default:
			i = w.value(i)
		}
	}
}

// object writes an object: its members first in the given order, and then in canonical order, which
// moves them once for each level out of order.
func (w *writer) object(i int) int {
	first, inOrder := len(w.members), true
	w.out = append(w.out, '{')
	for i = skipSpace(w.src, i+1); w.src[i] == '"'; i = skipSpace(w.src, i) {
		from := len(w.out)
		w.out, i = appendText(w.out, w.src, i)
		m := member{position: arrayIndex(w.out[from+1 : len(w.out)-1]), from: from}
		if own := w.members[first:]; len(own) > 0 && m.position < own[len(own)-1].position {
			inOrder = false
		}
		w.out = append(w.out, ':')
		i = w.value(skipSpace(w.src, skipSpace(w.src, i)+1))
		w.out = append(w.out, ',')
		m.to = len(w.out)
		w.members = append(w.members, m)
		if i = skipSpace(w.src, i); w.src[i] == ',' {
			i++
		}
	}
	own := w.members[first:]
	w.members = w.members[:first]
	if !inOrder {
		w.sort(own)
	}
	if len(own) > 0 {
		w.out = w.out[:len(w.out)-1] // the last comma
	}
	w.out = append(w.out, '}')
	return i + 1
}

// sort puts the members at the end of out into canonical order: indices in ascending order, then the
// others in the given order. It copies the largest member once, the others twice: at each of many
// levels out of order, the largest may be nearly the whole text.
func (w *writer) sort(own []member) {
	largest := slices.MaxFunc(own, func(a, b member) int { return cmp.Compare(a.to-a.from, b.to-b.from) })
	start := own[0].from
	w.scratch = append(append(w.scratch[:0], w.out[start:largest.from]...), w.out[largest.to:]...)
	slices.SortStableFunc(own, func(a, b member) int { return cmp.Compare(a.position, b.position) })
	at := start
	for _, m := range own {
		if m == largest {
			copy(w.out[at:], w.out[m.from:m.to])
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
			copy(w.out[at:], w.scratch[from:from+size])
		}
		at += size
	}
}

// appendText appends the canonical form of the string at i, and returns its end.
func appendText(dst, src []byte, i int) (text []byte, end int) {
	dst = append(dst, '"')
	i++
	for {
		run := i
		i = skipPlain(src, i)
		dst = append(dst, src[run:i]...)
		if src[i] == '"' {
			return append(dst, '"'), i + 1
		}
		r, size := unescape(src[i:])
		dst = appendQuoted(dst, r)
		i += size
	}
}
