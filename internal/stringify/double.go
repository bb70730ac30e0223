package stringify

import (
	"bytes"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"strconv"
)

// division has the memory of one division, for reuse by the next.
type division struct{ num, den, quotient, rest big.Int }

// double returns the double nearest to a number, ties to even; ±Inf if it is too large.
//
// strconv.ParseFloat is used for short numbers near 1 only, for two reasons. Of others (5e-324,
// 1e309) it takes 20 to 60 µs for a few bytes: seconds for a megabyte of them. And it ignores an
// exponent's digits after the fifth, so that 0.0…01e150001 with 150,000 zeros would be 0 and not 1.
func (d *division) double(literal []byte) float64 {
	mantissa, exp := literal, int64(0)
	if i := bytes.IndexAny(literal, "eE"); i >= 0 {
		mantissa, exp = literal[:i], readExponent(literal[i+1:])
	}
	whole, fraction, _ := bytes.Cut(bytes.TrimPrefix(mantissa, []byte("-")), []byte("."))
	exp -= int64(len(fraction))
	if len(mantissa) <= 32 && -32 <= exp && exp <= 32 {
		f, err := strconv.ParseFloat(string(literal), 64)
		if err != nil { // impossible: it is a valid number, and not too large
			panic(err)
		}
		return f
	}
	f := d.nearest(slices.Concat(whole, fraction), exp)
	if literal[0] == '-' {
		return -f
	}
	return f
}

// readExponent reads an exponent. A larger one than 2^40 is cut off: no literal has that many
// digits.
func readExponent(b []byte) int64 {
	exp := int64(0)
	for _, c := range bytes.TrimLeft(b, "+-") {
		if exp < 1<<40 {
			exp = exp*10 + int64(c-'0')
		}
	}
	if b[0] == '-' {
		return -exp
	}
	return exp
}

// nearest returns the double nearest to digits · 10^exp. It overwrites digits.
func (d *division) nearest(digits []byte, exp int64) float64 {
	digits = bytes.TrimLeft(digits, "0")
	// The middle of two doubles has at most 767 digits. Of later digits it only matters whether
	// they are all 0.
	const maxDigits = 800
	size := exp + int64(len(digits)) // the number is below 10^size
	digits = bytes.TrimRight(digits, "0")
	switch {
	case len(digits) == 0 || size < -323:
		return 0
	case size > 309:
		return math.Inf(1)
	case len(digits) > maxDigits:
		digits = append(digits[:maxDigits], '1')
	}
	d.num.SetString(string(digits), 10)
	d.den.SetInt64(1)
	if exp = size - int64(len(digits)); exp < 0 {
		d.den.Set(powerOfTen(-exp))
	} else {
		d.num.Mul(&d.num, powerOfTen(exp))
	}
	return d.divide()
}

// tens are the powers of ten that numbers of few digits need.
var tens = func() (table [343]*big.Int) {
	table[0] = big.NewInt(1)
	for i := 1; i < len(table); i++ {
		table[i] = new(big.Int).Mul(table[i-1], big.NewInt(10))
	}
	return table
}()

func powerOfTen(exp int64) *big.Int {
	if exp < int64(len(tens)) {
		return tens[exp]
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(exp), nil)
}

// divide returns the double nearest to num/den.
func (d *division) divide() float64 {
	// n · 2^exp is the quotient, cut off after its first 63 or 64 bits.
	exp := d.num.BitLen() - d.den.BitLen() - 63
	if exp < 0 {
		d.num.Lsh(&d.num, uint(-exp))
	} else {
		d.den.Lsh(&d.den, uint(exp))
	}
	d.quotient.QuoRem(&d.num, &d.den, &d.rest)
	n := d.quotient.Uint64()
	if d.rest.Sign() != 0 {
		n |= 1 // the last bit only decides what is no tie
	}
	cut := max(bits.Len64(n)-53, -1074-exp) // doubles have 53 bits, and none below 2^-1074
	if cut > 64 {
		return 0
	}
	mantissa, cutOff := n>>cut, n<<(64-cut)
	if cutOff > 1<<63 || cutOff == 1<<63 && mantissa&1 == 1 {
		mantissa++
	}
	return math.Ldexp(float64(mantissa), exp+cut)
}
