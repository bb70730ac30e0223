package stringify

import (
	"bytes"
	"math"
	"strconv"
)

// isCanonicalNumber reports whether a number has the form of Number::toString.
func isCanonicalNumber(literal []byte, exponent bool) bool {
	if !exponent && isPlain(literal) {
		return true
	}
	if len(literal) > longestNumber {
		return false
	}
	var room [longestNumber]byte
	return bytes.Equal(appendNumber(room[:0], literal, exponent), literal)
}

// longestNumber is the length of the longest number that Number::toString prints:
// -1.2345678901234567e-300 has 24 characters, -0.0000012345678901234567 has 25.
const longestNumber = 25

// appendNumber appends a number as JSON.stringify prints it: Number::toString of the double
// (ECMA-262, section 6.1.6.1.20). A number too large for a double becomes null, and -0 becomes 0.
func appendNumber(dst, literal []byte, exponent bool) []byte {
	if !exponent {
		short := literal
		if bytes.IndexByte(literal, '.') >= 0 { // many languages write 1.0
			short = bytes.TrimSuffix(bytes.TrimRight(literal, "0"), []byte("."))
		}
		if isPlain(short) {
			return append(dst, short...)
		}
	}
	f := double(literal)
	if math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == 0 {
		return append(dst, '0')
	}
	if a := math.Abs(f); a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go pads the exponent to two digits, ECMAScript doesn't.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// isPlain reports whether a number without an exponent is clearly canonical, as most are: it has at
// most 15 digits and no needless zeros, and isn't below 1e-6. No two such numbers are the same
// double, so neither has a shorter form.
func isPlain(literal []byte) bool {
	digits := literal
	if digits[0] == '-' {
		digits = digits[1:]
	}
	if bytes.IndexByte(digits, '.') < 0 {
		return len(digits) <= 15 && string(literal) != "-0"
	}
	return len(digits) <= 16 && digits[len(digits)-1] != '0' && !bytes.HasPrefix(digits, []byte("0.000000"))
}
