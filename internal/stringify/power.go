package stringify

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
)

// power is a power of ten, (hi · 2^64 + lo) · 2^exp, cut off after 127 bits.
type power struct {
	hi, lo uint64
	exp    int
	exact  bool // nothing was cut off
}

// The powers of ten with which 19 digits make a double: with lower ones it is 0, with higher ones
// ±Inf.
const (
	minPower = -342
	maxPower = 308
)

var powers = func() (table [maxPower - minPower + 1]power) {
	for i := range table {
		num, den := tens[max(i+minPower, 0)], tens[max(-i-minPower, 0)]
		q, more, exp := quotient(num, den, 127)
		var b [16]byte
		q.FillBytes(b[:])
		table[i] = power{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:]), exp, !more}
	}
	return table
}()

// tens are powers of ten as integers.
var tens = func() (table [1 - minPower]*big.Int) {
	table[0] = big.NewInt(1)
	for i := 1; i < len(table); i++ {
		table[i] = new(big.Int).Mul(table[i-1], big.NewInt(10))
	}
	return table
}()

func tenTo(n int64) *big.Int {
	if n < int64(len(tens)) {
		return tens[n]
	}
	return new(big.Int).Exp(tens[1], big.NewInt(n), nil)
}

// times returns the double nearest to p · n.
func (p power) times(n uint64) float64 {
	shift := bits.LeadingZeros64(n)
	n <<= shift
	// The product has at least 190 bits. top has the first 62.
	top, middle := bits.Mul64(n, p.hi)
	carry, low := bits.Mul64(n, p.lo)
	middle, c := bits.Add64(middle, carry, 0)
	return round(top+c, middle|low != 0, p.exp+128-shift)
}

// quotient returns the first size or size+1 bits of num/den as an integer, whether anything was cut
// off, and the integer's exponent of two.
func quotient(num, den *big.Int, size int) (q *big.Int, more bool, exp int) {
	shift := size + den.BitLen() - num.BitLen()
	if shift >= 0 {
		num = new(big.Int).Lsh(num, uint(shift))
	} else {
		den = new(big.Int).Lsh(den, uint(-shift))
	}
	q, rest := new(big.Int).QuoRem(num, den, new(big.Int))
	return q, rest.Sign() != 0, -shift
}

// round returns the double nearest to n · 2^exp, ties to even. more means that the number is a
// little larger. n has at least 56 bits, more than a double.
func round(n uint64, more bool, exp int) float64 {
	if more {
		n |= 1
	}
	cut := max(bits.Len64(n)-53, -1074-exp) // doubles have 53 bits, and none below 2^-1074
	if cut > 64 {
		return 0
	}
	mantissa, rest := n>>cut, n<<(64-cut)
	if rest > 1<<63 || rest == 1<<63 && mantissa&1 == 1 {
		mantissa++
	}
	return math.Ldexp(float64(mantissa), exp+cut)
}
