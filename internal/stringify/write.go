package stringify

// writer writes the canonical form of a valid text. It writes each byte once, whatever the order of
// members, so its time is linear.
type writer struct {
	src     []byte
	out     []byte
	ordered []member
	sorted  map[uint32]span
	numbers int // up to this offset all numbers are canonical
}

// rewritten returns the canonical form of the text that s has scanned. It has at most size bytes.
func (s *scanner) rewritten(size int) []byte {
	w := writer{src: s.src, out: make([]byte, 0, size), ordered: s.ordered, sorted: s.sorted, numbers: s.numbers}
	w.value(skipSpace(s.src, 0))
	return w.out
}

// value writes the value at i and returns its end.
func (w *writer) value(i int) int {
	switch c := w.src[i]; c {
	case '"':
		return w.text(i)
	case '{':
		if members, ok := w.sorted[uint32(i)]; ok {
			return w.reordered(w.ordered[members.from:members.to])
		}
		return w.container(i, '}')
	case '[':
		return w.container(i, ']')
	default: // a number or a literal
		end := i + 1
		for end < len(w.src) && isScalar(w.src[end]) {
			end++
		}
		if c == 't' || c == 'f' || c == 'n' || end <= w.numbers {
			w.out = append(w.out, w.src[i:end]...)
		} else {
			w.out = appendNumber(w.out, w.src[i:end])
		}
		return end
	}
}

func isScalar(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '.' || c == '-' || c == '+' || c == 'E'
}

// container writes an array, or an object whose members are in canonical order.
func (w *writer) container(i int, end byte) int {
	w.out = append(w.out, w.src[i])
	for i++; ; {
		i = skipSpace(w.src, i)
		switch c := w.src[i]; c {
		case end:
			w.out = append(w.out, c)
			return i + 1
		case ',', ':':
			w.out = append(w.out, c)
			i++
		default:
			i = w.value(i)
		}
	}
}

// reordered writes an object's members in the given order and returns the object's end.
func (w *writer) reordered(members []member) int {
	end := 0
	w.out = append(w.out, '{')
	for n, m := range members {
		if n > 0 {
			w.out = append(w.out, ',')
		}
		i := skipSpace(w.src, w.text(int(m.at))) // at the colon
		w.out = append(w.out, ':')
		end = max(end, w.value(skipSpace(w.src, i+1)))
	}
	w.out = append(w.out, '}')
	return skipSpace(w.src, end) + 1
}

// text writes the string at i.
func (w *writer) text(i int) int {
	w.out = append(w.out, '"')
	i++
	for {
		run := i
		i = skipPlain(w.src, i)
		w.out = append(w.out, w.src[run:i]...)
		if w.src[i] == '"' {
			w.out = append(w.out, '"')
			return i + 1
		}
		e := unescape(w.src[i:])
		w.out = appendQuoted(w.out, e.r)
		i += e.len
	}
}
