package stringify

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func zeros(n int) string { return strings.Repeat("0", n) }

// numbers are literals and what Number::toString makes of them, by its steps (ECMA-262, section
// 6.1.6.1.20): there are k digits, and the point is after the first n. node_test.go asks Node, too.
var numbers = []struct{ in, want string }{
	// Zero, either one; and what rounds to it.
	{"0", "0"},
	{"-0", "0"},
	{"0.0", "0"},
	{"-0.0e0", "0"},
	{"0e999999999999999999999", "0"},
	{"1e-400", "0"},
	{"-1e-400", "0"},
	{"1e-999999999999999999999", "0"},
	{"2.4703282292062327e-324", "0"}, // half of the least, and a little less
	{"0." + zeros(2000) + "1", "0"},

	// Beyond the doubles: JSON.parse returns Infinity, and JSON.stringify writes null.
	{"1e400", "null"},
	{"-1e400", "null"},
	{"1e309", "null"},
	{"9e308", "null"},
	{"1.7976931348623159e308", "null"},
	{"1e999999999999999999999", "null"},
	{"1" + zeros(309), "null"},
	{"1" + zeros(2000), "null"},

	// Integers, k ≤ n ≤ 21.
	{"1", "1"},
	{"-1", "-1"},
	{"10", "10"},
	{"123", "123"},
	{"-42", "-42"},
	{"1.0", "1"},
	{"1.50", "1.5"},
	{"1e0", "1"},
	{"1E+2", "100"},
	{"100e-2", "1"},
	{"1234567890123456789", "1234567890123456800"},
	{"1e20", "100000000000000000000"},
	{"-1e20", "-100000000000000000000"},
	{"1.5e20", "150000000000000000000"},
	{"123456789012345678901", "123456789012345680000"},
	{"999999999999999868928", "999999999999999900000"}, // the last before 1e21
	{"999999999999999934463", "999999999999999900000"},
	{"999999999999999999999", "1e+21"},

	// Decimals, 0 < n ≤ 21.
	{"1.5", "1.5"},
	{"-0.5e1", "-5"},
	{"123.456", "123.456"},
	{"0.1e1", "1"},
	{"12345678901234.567", "12345678901234.566"},
	{"0.30000000000000004", "0.30000000000000004"},
	{"1.0000000000000002", "1.0000000000000002"},

	// The edges of the fast path: 15 digits, no needless zero, 1e-6.
	{"999999999999999", "999999999999999"},
	{"9999999999999999", "10000000000000000"},
	{"-99999999999999.9", "-99999999999999.9"},
	{"99999999999999.99", "99999999999999.98"},
	{"100.50", "100.5"},
	{"0.10", "0.1"},
	{"-10.0", "-10"},
	{"0.000001", "0.000001"},
	{"-0.0000010", "-0.000001"},
	{"0.0000001", "1e-7"},
	{"-0.00000012", "-1.2e-7"},
	{"0.00000123456789", "0.00000123456789"},
	{"0.000000123456789", "1.23456789e-7"},

	// Below 1, −6 < n ≤ 0.
	{"0.1", "0.1"},
	{"-0.1", "-0.1"},
	{"1e-1", "0.1"},
	{"0.001", "0.001"},
	{"1e-6", "0.000001"},
	{"-1.5e-6", "-0.0000015"},
	{"1.2345678901234567e-6", "0.0000012345678901234567"},
	{"0.0000010000000000000002", "0.0000010000000000000002"},

	// Exponents: k = 1, k > 1, either sign, one to three digits.
	{"1e21", "1e+21"},
	{"-1e21", "-1e+21"},
	{"1" + zeros(21), "1e+21"},
	{"1.5e21", "1.5e+21"},
	{"1e100", "1e+100"},
	{"1e308", "1e+308"},
	{"1234567890123456789e290", "1.2345678901234567e+308"},
	{"1.25e+100", "1.25e+100"},
	{"1e-7", "1e-7"},
	{"0.0000001", "1e-7"},
	{"1.5e-7", "1.5e-7"},
	{"-1.5e-7", "-1.5e-7"},
	{"9.999999999999997e-7", "9.999999999999997e-7"}, // the last before 1e-6
	{"9.999999999999999e-7", "0.000001"},
	{"0.00000099999999999999999999", "0.000001"},
	{"1e-10", "1e-10"},
	{"1.25e-100", "1.25e-100"},
	{"123456789e-20", "1.23456789e-12"},

	// The largest and the smallest doubles.
	{"1.7976931348623157e308", "1.7976931348623157e+308"},
	{"-1.7976931348623157e308", "-1.7976931348623157e+308"},
	{"1.7976931348623158e308", "1.7976931348623157e+308"},
	{"179769313486231570" + zeros(291), "1.7976931348623157e+308"},
	{"2.2250738585072014e-308", "2.2250738585072014e-308"}, // the least normal one
	{"2.2250738585072011e-308", "2.225073858507201e-308"},  // on which other languages once hung
	{"2.225073858507201e-308", "2.225073858507201e-308"},   // the greatest denormal
	{"5e-324", "5e-324"},
	{"-5e-324", "-5e-324"},
	{"4.9406564584124654e-324", "5e-324"},
	{"2.4703282292062328e-324", "5e-324"}, // half of it, and a little more
	{"7.4e-324", "5e-324"},
	{"7.5e-324", "1e-323"},
	{"1e-323", "1e-323"},
	{"3e-310", "3e-310"},

	// 2⁵³: from here on not every integer is a double; ties go to even.
	{"9007199254740991", "9007199254740991"},
	{"9007199254740992", "9007199254740992"},
	{"9007199254740993", "9007199254740992"},
	{"9007199254740993.0", "9007199254740992"},
	{"9007199254740993.00000000000000000000000000000000001", "9007199254740994"},
	{"9007199254740992.99999999999999999999999999999999999", "9007199254740992"},
	{"9007199254740994", "9007199254740994"},
	{"9007199254740995", "9007199254740996"},
	{"-9007199254740993", "-9007199254740992"},
	{"4503599627370496.5", "4503599627370496"},
	{"4503599627370497.5", "4503599627370498"},
	{"4503599627370496.50000000000000000000001", "4503599627370497"},
	{"9223372036854775807", "9223372036854776000"},
	{"18446744073709551615", "18446744073709552000"},
	{"18446744073709551616", "18446744073709552000"},
	{"1e22", "1e+22"},
	{"1e23", "1e+23"}, // halfway; even is 99999999999999991611392
	{"100000000000000000000000.00000000000000000001", "1.0000000000000001e+23"},
	{"99999999999999991611392", "1e+23"},
	{"9.999999999999999e22", "1e+23"},
	{"99999999999999974834176", "9.999999999999997e+22"}, // the double before it

	// The shortest digits; of two that are equally short, the nearer.
	{"5e-7", "5e-7"},
	{"9.5367431640625e-7", "9.5367431640625e-7"}, // 2^-20
	{"4.4501477170144023e-308", "4.4501477170144023e-308"},
	{"4.450147717014403e-308", "4.450147717014403e-308"},
	{"2e-323", "2e-323"},
	{"1.2e-322", "1.2e-322"},
	{"6.9315e-310", "6.9315e-310"},

	// Long literals. The last double but one below 1 is 1 − 2⁻⁵³: 17 nines are 1.
	{"0." + strings.Repeat("9", 16), "0.9999999999999999"},
	{"0." + strings.Repeat("9", 17), "1"},
	{"0." + strings.Repeat("9", 900), "1"},
	{"1" + zeros(400) + "e-400", "1"},
	{"0." + zeros(400) + "1e401", "1"},
	{"1." + zeros(1000), "1"},
	{"1." + zeros(1000) + "1", "1"},
	{"1.5" + zeros(1000) + "e0", "1.5"},
	{"1e" + zeros(1000) + "1", "10"},
	{"1e-" + zeros(1000) + "1", "0.1"},
	{"0." + zeros(20000) + "1e20001", "1"},
	{"0." + zeros(150000) + "1e150001", "1"}, // strconv.ParseFloat: 0
	{"1" + zeros(150000) + "e-150000", "1"},  // too
	{"-12345" + zeros(100000) + ".5e-100002", "-123.45"},
}

func TestNumbers(t *testing.T) {
	for _, n := range numbers {
		got, err := Parse([]byte(n.in))
		if err != nil || string(got) != n.want {
			t.Errorf("Parse(%s) = %s, %v; want %s", shortened(n.in), got, err, n.want)
		}
		if again, err := Parse(got); err != nil || string(again) != n.want {
			t.Errorf("Parse(%s) = %s, %v; it was canonical", n.want, again, err)
		}
	}
}

func shortened(s string) string {
	if len(s) <= 100 {
		return s
	}
	return s[:40] + "…" + s[len(s)-40:]
}

// Number::toString changes its form with n, the place of the point: each power of ten, and the
// doubles beside it, in the form its steps demand.
func TestNumberForm(t *testing.T) {
	for exp := -324; exp <= 308; exp++ {
		power, err := strconv.ParseFloat("1e"+strconv.Itoa(exp), 64)
		expect.NoError(t, err)
		for _, f := range []float64{math.Nextafter(power, 0), power, math.Nextafter(power, math.Inf(1)), 3 * power, -power} {
			if want := toString(f); want != "" {
				in := strconv.FormatFloat(f, 'e', 20, 64)
				if got, err := Parse([]byte(in)); err != nil || string(got) != want {
					t.Errorf("Parse(%s) = %s, %v; want %s", in, got, err, want)
				}
			}
		}
	}
}

// toString is Number::toString step by step, with the digits that strconv finds.
func toString(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 0:
		return "-" + toString(-f)
	case f > math.MaxFloat64:
		return ""
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	digits := strings.Replace(mantissa, ".", "", 1)
	e, err := strconv.Atoi(exponent)
	if err != nil {
		panic(err)
	}
	k, n := len(digits), e+1
	sign := "+"
	if e < 0 {
		sign = "-"
	}
	exponent = "e" + sign + strconv.Itoa(max(e, -e))
	switch {
	case k <= n && n <= 21:
		return digits + zeros(n-k)
	case 0 < n && n <= 21:
		return digits[:n] + "." + digits[n:]
	case -6 < n && n <= 0:
		return "0." + zeros(-n) + digits
	case k == 1:
		return digits + exponent
	}
	return digits[:1] + "." + digits[1:] + exponent
}

// Every number is read as the nearest double. The test asks math/big, which shares no code with strconv.
func TestNearestDouble(t *testing.T) {
	r := newRandom(t)
	for range 20000 {
		literal := numberLiteral(r)
		got := double([]byte(literal))
		if want := nearestByRat(t, literal); math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("double(%s) = %v, want %v", literal, got, want)
		}
	}
}

func nearestByRat(t *testing.T, literal string) float64 {
	t.Helper()
	if strings.HasSuffix(literal, "999999999999") { // more than big.Rat cares to hold
		literal = strings.Replace(literal, "999999999999", "999", 1)
	}
	rat, ok := new(big.Rat).SetString(literal)
	if !ok {
		t.Fatalf("%s is no number", literal)
	}
	f, _ := rat.Float64()
	if literal[0] == '-' {
		return -math.Abs(f)
	}
	return f
}

// Short decimals are printed as by Number::toString.
func TestShortDecimals(t *testing.T) {
	r := newRandom(t)
	for range 100_000 {
		digits := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		digits = zeros(r.IntN(9)) + digits[:r.IntN(len(digits))+1]
		point := 1 + r.IntN(len(digits))
		literal := digits[:point]
		if literal = strings.TrimLeft(literal, "0"); literal == "" {
			literal = "0"
		}
		if point < len(digits) {
			literal += "." + digits[point:]
		}
		f, err := strconv.ParseFloat(literal, 64)
		expect.NoError(t, err)
		if got, err := Parse([]byte(literal)); err != nil || string(got) != toString(f) {
			t.Errorf("Parse(%s) = %s, %v; want %s", literal, got, err, toString(f))
		}
	}
}

// Near the middle of two doubles, and at the end of the digits that are read first, one digit
// decides.
func TestHalfway(t *testing.T) {
	r := newRandom(t)
	for i := range 3000 {
		f := math.Abs(math.Float64frombits(r.Uint64()))
		if i%4 == 0 { // a denormal
			f = math.Float64frombits(r.Uint64() >> 12)
		}
		if !(f < math.MaxFloat64) {
			continue
		}
		up := math.Nextafter(f, math.Inf(1))
		even := f
		if math.Float64bits(f)&1 == 1 {
			even = up
		}
		middle := halfway(f, 0)
		mantissa, exponent, _ := strings.Cut(middle, "e")
		last := len(mantissa) - 1
		less := mantissa[:last] + string(mantissa[last]-1) + strings.Repeat("9", 700+r.IntN(400))
		for _, test := range []struct {
			literal string
			want    float64
		}{
			{middle, even},
			{mantissa + zeros(1000) + "e" + exponent, even},
			{less + "e" + exponent, f},
			{mantissa + zeros(r.IntN(1000)) + "1e" + exponent, up},
		} {
			if got := double([]byte(test.literal)); got != test.want {
				t.Fatalf("double(%s) = %v, want %v", test.literal, got, test.want)
			}
		}
	}
}
