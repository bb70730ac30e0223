package stringify

import (
	"bytes"
	"math"
	"strconv"
)

// isCanonicalNumber reports whether a number has the form of Number::toString.
func isCanonicalNumber(literal []byte) bool {
	if isPlain(literal) {
		return true
	}
	if len(literal) > longestNumber {
		return false
	}
	var room [longestNumber]byte
	return bytes.Equal(appendNumber(room[:0], literal), literal)
}

// longestNumber is the length of the longest number that Number::toString prints:
// -1.2345678901234567e-300 has 24 characters, -0.0000012345678901234567 has 25.
const longestNumber = 25

// appendNumber appends a number as JSON.stringify prints it: Number::toString of the double
// (ECMA-262, section 6.1.6.1.20). A number too large for a double becomes null, and -0 becomes 0.
func appendNumber(dst, literal []byte) []byte {
	if isPlain(literal) {
		return append(dst, literal...)
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

// isPlain reports whether a number is clearly canonical, as most are: it has at most 15 digits, no
// exponent and no needless zeros, and isn't below 1e-6. No two such numbers are the same double, so
// neither has a shorter form.
func isPlain(literal []byte) bool {
	digits := bytes.TrimPrefix(literal, []byte("-"))
	if len(digits) > 16 {
		return false
	}
	isFraction := false
	for _, c := range digits {
		if c > '9' { // an exponent
			return false
		}
		isFraction = isFraction || c == '.'
	}
	if isFraction {
		return digits[len(digits)-1] != '0' && !bytes.HasPrefix(digits, []byte("0.000000"))
	}
	return len(digits) <= 15 && string(literal) != "-0"
}
