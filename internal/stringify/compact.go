package stringify

import "bytes"

// compacted returns a valid text without white space between its tokens.
func compacted(src []byte) Text {
	out := make([]byte, 0, len(src))
	for i := skipSpace(src, 0); i < len(src); i = skipSpace(src, i) {
		from := i
		if src[i] == '"' {
			i = skipString(src, i)
		} else {
			for i++; i < len(src) && src[i] > ' ' && src[i] != '"'; {
				i++
			}
		}
		out = append(out, src[from:i]...)
	}
	return out
}

// Is reports whether a member's name, which may have escapes, decodes to the given one.
func Is(written []byte, name string) bool {
	if bytes.IndexByte(written, '\\') < 0 {
		return string(written) == name
	}
	return string(appendUnescaped(nil, written)) == name
}

// Written returns the value of an object's member as it is written in src, with white space.
// [Check] must have validated src. The value is nil if there is none, or if src isn't an object.
func Written(src []byte, name string) []byte {
	i := skipSpace(src, 0)
	if i == len(src) || src[i] != '{' {
		return nil
	}
	for i = skipSpace(src, i+1); src[i] == '"'; i = skipSpace(src, i+1) {
		end := skipString(src, i)
		isIt := Is(src[i+1:end-1], name)
		from := skipSpace(src, skipSpace(src, end)+1) // after the colon
		if i = skipWritten(src, from); isIt {
			return src[from:i:i]
		}
		if i = skipSpace(src, i); src[i] != ',' {
			return nil
		}
	}
	return nil
}

// skipWritten returns the end of the value at i in a valid text.
func skipWritten(src []byte, i int) int {
	for depth := 0; ; {
		switch src[i] {
		case '"':
			i = skipString(src, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			for i++; depth == 0 && i < len(src) && isScalar(src[i]); {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}
