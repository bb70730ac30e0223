package stringify

import "bytes"

// compacted copies a checked text without the white space between its tokens.
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

// Is reports whether a member's name, as it is written between its quotes, reads like the other one.
func Is(written []byte, name string) bool {
	if bytes.IndexByte(written, '\\') < 0 {
		return string(written) == name
	}
	return string(appendUnescaped(nil, written)) == name
}
