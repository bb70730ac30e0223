package stringify

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// skipPlain returns the end of the bytes at i that need no escape in a string. The text is valid
// UTF-8.
func skipPlain(src []byte, i int) int {
	// Eight bytes at a time. Subtracting sets the high bit of a byte that is too small. By
	// borrowing it may also set that of later bytes, so only the first counts.
	const each = 0x0101010101010101
	for ; i+8 <= len(src); i += 8 {
		w := binary.LittleEndian.Uint64(src[i:])
		control, quote, backslash := w-0x20*each, (w^'"'*each)-each, (w^'\\'*each)-each
		if found := (control | quote | backslash) &^ w & (0x80 * each); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(src) && src[i] >= 0x20 && src[i] != '"' && src[i] != '\\' {
		i++
	}
	return i
}

// escape is one escape sequence of a string.
type escape struct {
	len       int  // its bytes in the text, with both halves of a surrogate pair; 0: malformed
	r         rune // the character; a lone surrogate is itself
	canonical bool // JSON.stringify would write the same
}

// unescape reads the escape sequence at the start of b, a backslash.
func unescape(b []byte) escape {
	if len(b) < 2 {
		return escape{}
	}
	switch b[1] {
	case '"', '\\':
		return escape{2, rune(b[1]), true}
	case '/':
		return escape{2, '/', false}
	case 'b':
		return escape{2, '\b', true}
	case 'f':
		return escape{2, '\f', true}
	case 'n':
		return escape{2, '\n', true}
	case 'r':
		return escape{2, '\r', true}
	case 't':
		return escape{2, '\t', true}
	case 'u':
		return unescapeUnit(b)
	}
	return escape{}
}

// unescapeUnit reads \uXXXX, and the low surrogate that completes a high one.
func unescapeUnit(b []byte) escape {
	r, lower, ok := hex4(b)
	if !ok {
		return escape{}
	}
	if isHigh(r) {
		if low, _, ok := hex4(b[6:]); ok && isLow(low) {
			return escape{12, (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, false}
		}
	}
	// Well-formed JSON.stringify writes lone surrogates, and control characters without a short
	// form, as \u with lower-case digits, and everything else as itself.
	return escape{6, r, lower && (isHigh(r) || isLow(r) || r < 0x20 && shortEscape[r] == 0)}
}

// hex4 reads \uXXXX at the start of b and reports whether its digits are lower case.
func hex4(b []byte) (r rune, lower, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false, false
	}
	lower = true
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
			lower = false
		default:
			return 0, false, false
		}
		r = r<<4 | rune(c)
	}
	return r, lower, true
}

func isHigh(r rune) bool { return 0xd800 <= r && r < 0xdc00 }
func isLow(r rune) bool  { return 0xdc00 <= r && r < 0xe000 }

// shortEscape has the letter of each control character that has a short escape.
var shortEscape = [0x20]byte{'\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r'}

// appendUnescaped appends the decoded inside of a string. It encodes a lone surrogate like a
// character, in three bytes that aren't valid UTF-8, so that different names stay different.
func appendUnescaped(dst, inside []byte) []byte {
	for i := 0; i < len(inside); {
		if inside[i] != '\\' {
			dst = append(dst, inside[i])
			i++
			continue
		}
		e := unescape(inside[i:])
		i += e.len
		if isHigh(e.r) || isLow(e.r) {
			dst = append(dst, 0xe0|byte(e.r>>12), 0x80|byte(e.r>>6)&0x3f, 0x80|byte(e.r)&0x3f)
			continue
		}
		dst = utf8.AppendRune(dst, e.r)
	}
	return dst
}

// appendQuoted appends the character of an escape sequence in the form of QuoteJSONString
// (ECMA-262, section 25.5.2.3).
func appendQuoted(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case r < 0x20 && shortEscape[r] != 0:
		return append(dst, '\\', shortEscape[r])
	case r < 0x20 || isHigh(r) || isLow(r):
		return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
	}
	return utf8.AppendRune(dst, r)
}
