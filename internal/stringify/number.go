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
	if len(literal) > maxNumber {
		return false
	}
	var buf [maxNumber]byte
	return bytes.Equal(appendNumber(buf[:0], literal), literal)
}

// isPlain reports whether a number certainly has the form of Number::toString. It is a quick check
// for most numbers: no exponent, no needless zero, not below 1e-6, and at most 15 digits. Different
// decimals of up to 15 digits are different doubles, so there is no shorter form.
func isPlain(literal []byte) bool {
	if len(literal) > 17 || string(literal) == "-0" {
		return false
	}
	digits, point := bytes.TrimPrefix(literal, []byte("-")), false
	for _, c := range digits {
		if c == '.' {
			point = true
		} else if c-'0' > 9 {
			return false
		}
	}
	if !point {
		return len(digits) <= 15
	}
	return len(digits) <= 16 && digits[len(digits)-1] != '0' && !bytes.HasPrefix(digits, []byte("0.000000"))
}

// withoutZeros returns a number without zeros at the end of its fraction: most languages write 1.0.
func withoutZeros(literal []byte) []byte {
	if bytes.IndexByte(literal, '.') < 0 || bytes.ContainsAny(literal, "eE") {
		return literal
	}
	return bytes.TrimSuffix(bytes.TrimRight(literal, "0"), []byte("."))
}

// longestNumber is the length of the longest number that Number::toString prints:
// -1.2345678901234567e-300 has 24 characters, -0.0000012345678901234567 has 25.
const longestNumber = 25

// maxNumber is longestNumber rounded up.
const maxNumber = 32

// appendNumber appends a number as JSON.stringify prints it: Number::toString of the double
// (ECMA-262, section 6.1.6.1.20). A number too large for a double becomes null, and -0 becomes 0.
func appendNumber(dst, literal []byte) []byte {
	if short := withoutZeros(literal); isPlain(short) {
		return append(dst, short...)
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
