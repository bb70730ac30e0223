package stringify

import (
	"bytes"
	"math"
	"math/big"
)

// double returns the double nearest to a number, ties to even; ±Inf if it is too large.
//
// strconv.ParseFloat isn't used for two reasons. Without its fast path (5e-324, 1e309, a number
// halfway between two doubles) it takes 20 to 60 µs for a few bytes: seconds for a megabyte of
// them. And it ignores an exponent's digits after the fifth, so that 0.0…01e150001 with 150,000
// zeros would be 0 and not 1.
//
// Here the first 19 digits times 127 bits of the power of ten bound the number from below and
// above. Almost always both bounds have the same nearest double; otherwise integers decide.
func double(literal []byte) float64 {
	d := readDecimal(literal)
	f := d.nearest(literal)
	if d.negative {
		return -f
	}
	return f
}

// decimal is a number as it is written: mantissa · 10^exp, or a little more.
type decimal struct {
	negative bool
	mantissa uint64 // the first 19 significant digits
	exp      int64
	more     bool // a later digit isn't 0
	from, to int  // place of the significant digits in the literal, perhaps with a point
}

func readDecimal(literal []byte) (d decimal) {
	point, i := false, 0
	if literal[0] == '-' {
		d.negative, i = true, 1
	}
	for ; i < len(literal) && literal[i]|' ' != 'e'; i++ {
		switch digit := literal[i] - '0'; {
		case literal[i] == '.':
			point = true
			continue
		case d.mantissa == 0:
			d.from, d.mantissa = i, uint64(digit)
		case d.mantissa < 1e18:
			d.mantissa = d.mantissa*10 + uint64(digit)
		default:
			d.more = d.more || digit != 0
			d.exp++
		}
		if point {
			d.exp--
		}
	}
	d.to = i
	if i < len(literal) {
		d.exp += readExponent(literal[i+1:])
	}
	return d
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

// nearest returns the double nearest to the number's absolute value.
func (d decimal) nearest(literal []byte) float64 {
	switch {
	case d.mantissa == 0 || d.exp < minPower:
		return 0
	case d.exp > maxPower:
		return math.Inf(1)
	}
	lower := powers[d.exp-minPower]
	f := lower.times(d.mantissa)
	if !d.more && lower.exact {
		return f
	}
	upper, mantissa := lower, d.mantissa
	if !lower.exact {
		upper.lo++ // no power ends in 64 ones
	}
	if d.more {
		mantissa++
	}
	if upper.times(mantissa) != f {
		return d.exactly(literal)
	}
	return f
}

// exactly is nearest for numbers so close to the middle of two doubles that the bounds differ.
func (d decimal) exactly(literal []byte) float64 {
	// That middle has at most 767 digits. Of later digits it only matters whether they are all 0.
	const maxDigits = 800
	digits := bytes.TrimRight(bytes.Replace(literal[d.from:d.to], []byte("."), nil, 1), "0")
	if len(digits) > maxDigits {
		digits = append(digits[:maxDigits], '1')
	}
	exp := d.exp - int64(len(digits)) // of all digits; d.exp is that of the mantissa
	for m := d.mantissa; m > 0; m /= 10 {
		exp++
	}
	num, _ := new(big.Int).SetString(string(digits), 10)
	den := tens[0]
	if exp < 0 {
		den = tenTo(-exp)
	} else {
		num.Mul(num, tenTo(exp))
	}
	q, more, two := quotient(num, den, 63)
	return round(q.Uint64(), more, two)
}
