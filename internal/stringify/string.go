package stringify

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// skipPlain returns the end of the bytes at i that need no escape in a string. The text is valid UTF-8.
func skipPlain(src []byte, i int) int {
	// Eight bytes at a time. The subtraction sets the high bit of each byte that is too small. A borrow
	// may also set the high bits of the bytes after it, so only the first one counts.
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

// The characters with a short escape, and the letter of each. JSON.stringify doesn't escape the last one.
const (
	short   = "\"\\\b\f\n\r\t/"
	letters = `"\bfnrt/`
)

// unescape reads the escape sequence at the start of b, a backslash. size is its length, with both
// halves of a surrogate pair; 0 if it is malformed. A lone surrogate is returned as it is.
func unescape(b []byte) (r rune, size int) {
	if len(b) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(letters, b[1]); i >= 0 {
		return rune(short[i]), 2
	}
	r, ok := codeUnit(b)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(r) {
		low, _ := codeUnit(b[6:])
		if pair := utf16.DecodeRune(r, low); pair != unicode.ReplacementChar {
			return pair, 12
		}
	}
	return r, 6
}

// codeUnit reads \uXXXX at the start of b.
func codeUnit(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var unit [2]byte
	if _, err := hex.Decode(unit[:], b[2:6]); err != nil {
		return 0, false
	}
	return rune(binary.BigEndian.Uint16(unit[:])), true
}

// appendQuoted appends the character of an escape sequence in the form of QuoteJSONString
// (ECMA-262, section 25.5.2.3).
func appendQuoted(dst []byte, r rune) []byte {
	if r < utf8.RuneSelf && r != '/' {
		if i := strings.IndexByte(short, byte(r)); i >= 0 {
			return append(dst, '\\', letters[i])
		}
	}
	if r < 0x20 || utf16.IsSurrogate(r) {
		return hex.AppendEncode(append(dst, `\u`...), []byte{byte(r >> 8), byte(r)})
	}
	return utf8.AppendRune(dst, r)
}
