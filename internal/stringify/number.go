package stringify

import (
	"bytes"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"sync"
)

// longestNumber is the length of the longest number that Number::toString prints:
// -1.2345678901234567e-300 has 24 characters, -0.0000012345678901234567 has 25.
const longestNumber = 25

// isCanonicalNumber reports whether a number certainly has the form of Number::toString. It returns
// false for exponents with three digits, which are rare and may take long to convert.
func isCanonicalNumber(literal []byte, exponent bool) bool {
	if !exponent && isPlain(literal) {
		return true
	}
	if len(literal) > longestNumber || exponent && bytes.LastIndexAny(literal, "+-") < len(literal)-3 {
		return false
	}
	var room [longestNumber]byte
	return bytes.Equal(appendNumber(room[:0], literal), literal)
}

// isPlain reports whether a number without an exponent is clearly canonical, as most are: it has at
// most 15 digits and no needless zeros, and isn't below 1e-6. No two such numbers are the same
// double, so none has a shorter form.
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

// appendNumber appends a number as JSON.stringify prints it: Number::toString of the double
// (ECMA-262, section 6.1.6.1.20). A number too large for a double becomes null, and -0 becomes 0.
func appendNumber(dst, literal []byte) []byte {
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

// double returns the double nearest to a number, ties to even; ±Inf if it is too large.
//
// strconv.ParseFloat takes up to 30 µs for a few bytes such as 5e-324 or 1.8e308, seconds for a
// megabyte of them, and ignores an exponent's digits after the fifth. So it is used only for short
// numbers well within the range of doubles. For all others, nearest divides integers.
func double(literal []byte) float64 {
	sign, unsigned := 1.0, bytes.TrimPrefix(literal, []byte("-"))
	if len(unsigned) < len(literal) {
		sign = -1
	}
	mantissa, exp := unsigned, int64(0)
	if i := bytes.IndexAny(unsigned, "eE"); i >= 0 {
		mantissa = unsigned[:i]
		exp, _ = strconv.ParseInt(string(unsigned[i+1:]), 10, 31) // the nearest one of 31 bits: size fits in 32
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	var room [32]byte
	digits := bytes.TrimLeft(append(append(room[:0], whole...), fraction...), "0")
	size := int(exp) + len(digits) - len(fraction) // the number is below 10^size
	digits = bytes.TrimRight(digits, "0")
	switch {
	case len(digits) == 0 || size < -323:
		return sign * 0
	case size > 309 || size == 309 && string(digits) > "18":
		return sign * math.Inf(1)
	case len(unsigned) <= 32 && len(digits) <= 19 && -300 < size && size < 309:
		f, _ := strconv.ParseFloat(string(unsigned), 64)
		return sign * f
	}
	return sign * nearest(digits, size-len(digits))
}

// The middle of two doubles has at most 767 digits. Of the digits after those it only matters whether
// all are 0.
const maxDigits = 800

// fives returns the powers of five that nearest needs.
var fives = sync.OnceValue(func() []*big.Int {
	powers := []*big.Int{big.NewInt(1)}
	for i := range maxDigits + 324 {
		powers = append(powers, new(big.Int).Mul(powers[i], big.NewInt(5)))
	}
	return powers
})

// integers holds triples of integers for reuse. Without them a body of such numbers would take 200
// times its length.
var integers = make(chan *[3]big.Int, 16)

func init() {
	for range cap(integers) {
		integers <- new([3]big.Int)
	}
}

// nearest returns the double nearest to digits · 10^exp.
func nearest(digits []byte, exp int) float64 {
	if more := len(digits) - maxDigits; more > 0 {
		digits = append(digits[:maxDigits], '1')
		exp += more - 1
	}
	room := <-integers
	defer func() { integers <- room }()
	num, q, rest := &room[0], &room[1], &room[2]
	if n, err := strconv.ParseUint(string(digits), 10, 64); err == nil { // takes less memory
		num.SetUint64(n)
	} else {
		num.SetString(string(digits), 10)
	}
	powers := fives()
	den := powers[0]
	if exp >= 0 {
		num.Mul(num, powers[exp])
	} else {
		den = powers[-exp]
	}
	// n is the quotient's first 62 or 63 bits. A double has fewer: the last bit only decides ties.
	shift := 62 + den.BitLen() - num.BitLen()
	if shift >= 0 {
		num.Lsh(num, uint(shift))
	} else {
		den = new(big.Int).Lsh(den, uint(-shift))
	}
	q.QuoRem(num, den, rest)
	n := q.Uint64()
	if rest.Sign() != 0 {
		n |= 1
	}
	exp -= shift
	cut := max(bits.Len64(n)-53, -1074-exp) // doubles have 53 bits, and none below 2^-1074
	n += uint64(1)<<(cut-1) - 1 + n>>cut&1
	return math.Ldexp(float64(n>>cut), exp+cut)
}
