package stringify

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

var (
	documents = flag.Int("documents", 3000, "how many random documents a test makes")
	seedFlag  = flag.Uint64("seed", 0, "of random documents and numbers; 0 draws one, which a failure names")
)

// newRandom returns a source of randomness whose seed is printed if the test fails.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// author writes random JSON texts, full of things that two readers might read differently.
type author struct {
	*rand.Rand
	out   []byte
	depth int
}

// document returns a text; one in four has one byte wrong.
func document(r *rand.Rand) []byte {
	a := author{Rand: r}
	a.space()
	a.value()
	a.space()
	if r.IntN(4) > 0 {
		return a.out
	}
	const bytes = "{}[]\",:\\/-+.0123456789eEutfn \n\x00\x1f\x7f\x80\xc0\xed\xff"
	c, i := bytes[r.IntN(len(bytes))], r.IntN(len(a.out))
	switch r.IntN(3) {
	case 0: // change
		a.out[i] = c
	case 1: // lose
		a.out = append(a.out[:i], a.out[i+1:]...)
	default: // gain
		a.out = append(a.out[:i+1], a.out[i:]...)
		a.out[i] = c
	}
	return a.out
}

func (a *author) write(s string) { a.out = append(a.out, s...) }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (a *author) space() {
	for a.IntN(4) == 0 {
		a.write(pick(a.Rand, []string{" ", "\t", "\n", "\r", "\r\n    "}))
	}
}

func (a *author) value() {
	kinds := 8
	if a.depth > 6 {
		kinds = 5 // nothing that holds values
	}
	switch a.IntN(kinds) {
	case 0:
		a.write(pick(a.Rand, []string{"true", "false", "null"}))
	case 1, 2:
		a.write(numberLiteral(a.Rand))
	case 3, 4:
		a.text(a.units())
	case 5:
		a.levels()
	case 6:
		a.list('[', ']', a.IntN(5), a.value)
	default:
		a.object()
	}
}

// levels nests a value, now and then deeper than is allowed.
func (a *author) levels() {
	n := a.IntN(4)
	if a.IntN(100) == 0 {
		n = MaxDepth - 8 + a.IntN(16)
	}
	ends := make([]string, 0, n)
	for range n {
		if a.IntN(2) == 0 {
			a.write("[")
			ends = append(ends, "]")
		} else {
			a.write(`{"b":`)
			ends = append(ends, pick(a.Rand, []string{"}", `,"1":0}`, "\n}"}))
		}
	}
	a.depth++
	a.value()
	a.depth--
	for i := range ends {
		a.write(ends[len(ends)-1-i])
	}
}

func (a *author) list(open, end byte, n int, element func()) {
	a.out = append(a.out, open)
	a.depth++
	for i := range n {
		if i > 0 {
			a.write(",")
		}
		a.space()
		element()
		a.space()
	}
	a.depth--
	a.out = append(a.out, end)
}

// object writes an object. In one of twenty, a name may occur twice.
func (a *author) object() {
	n := a.IntN(6)
	if a.IntN(8) == 0 {
		n = 7 + a.IntN(40) // enough to be hashed
	}
	seen := map[string]bool{}
	twice := a.IntN(20) == 0
	a.list('{', '}', n, func() {
		name := a.name()
		for tries := 0; seen[fmt.Sprint(name)] && !twice; tries++ {
			name = append(name, uint16('a'+tries%26))
		}
		seen[fmt.Sprint(name)] = true
		a.text(name)
		a.space()
		a.write(":")
		a.space()
		a.value()
	})
}

func (a *author) name() []uint16 {
	names := []string{
		"0", "1", "2", "9", "10", "00", "01", "-0", "-1", "+1", "1.0", "1e3", " 1", "1 ", "١", "999999999", "1000000000",
		"2147483647", "2147483648", "4294967293", "4294967294", "4294967295", "4294967296", "9007199254740993", "42949672940",
		"", "a", "b", "aa", "__proto__", "toJSON", "constructor", "prototype", "length", "hasOwnProperty", "valueOf", "toString",
		"__defineGetter__", "é", "é", "\u2028", "😀", "\x00", "\"", "\\", "/",
	}
	switch a.IntN(4) {
	case 0:
		return utf16.Encode([]rune(strconv.Itoa(a.IntN(120))))
	case 1:
		return a.units()
	}
	return utf16.Encode([]rune(pick(a.Rand, names)))
}

// units returns a random string of ECMAScript: any UTF-16 units, surrogates in any order.
func (a *author) units() []uint16 {
	var units []uint16
	for a.IntN(6) > 0 {
		switch a.IntN(8) {
		case 0:
			units = append(units, uint16(a.IntN(0x30)))
		case 1:
			units = append(units, uint16(0xd800+a.IntN(0x400)))
		case 2:
			units = append(units, uint16(0xdc00+a.IntN(0x400)))
		case 3:
			units = utf16.AppendRune(units, rune(0x10000+a.IntN(0x100000)))
		case 4:
			units = append(units, uint16(a.IntN(0x10000)))
		case 5:
			units = append(units, pick(a.Rand, []uint16{'"', '\\', '/', '\b', '\f', '\n', '\r', '\t', 0x7f, 0x80, 0x2028, 0x2029, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xfeff, 0xfffe, 0xffff}))
		default:
			for range a.IntN(12) {
				units = append(units, uint16('a'+a.IntN(26)))
			}
		}
	}
	return units
}

// text writes a string, each character in one of its spellings.
func (a *author) text(units []uint16) {
	escaped := a.IntN(4) // of four characters, so many are escaped without need
	a.write(`"`)
	for i := 0; i < len(units); i++ {
		u := units[i]
		character := rune(u)
		if utf16.IsSurrogate(character) && i+1 < len(units) {
			character = utf16.DecodeRune(rune(u), rune(units[i+1]))
		}
		must := u < 0x20 || u == '"' || u == '\\' || utf16.IsSurrogate(rune(u)) && !('\U00010000' <= character)
		short := strings.IndexByte("\b\f\n\r\t\"\\/", byte(u))
		switch {
		case !must && a.IntN(4) >= escaped:
			a.out = append(a.out, string(character)...)
			if character >= '\U00010000' {
				i++
			}
		case u < 0x80 && short >= 0 && a.IntN(2) == 0:
			a.out = append(a.out, '\\', `bfnrt"\/`[short])
		default:
			format := pick(a.Rand, []string{`\u%04x`, `\u%04X`})
			a.out = fmt.Appendf(a.out, format, u)
		}
	}
	a.write(`"`)
}

// numberLiteral returns a random number: near a power, near the middle of two doubles, long, huge,
// or spelt oddly.
func numberLiteral(r *rand.Rand) string {
	sign := pick(r, []string{"", "", "-"})
	exponent := func(n int) string {
		return pick(r, []string{"e", "E"}) + pick(r, []string{"", "+", "-"}) + pick(r, []string{"", "", "0", "000"}) + strconv.Itoa(r.IntN(n))
	}
	digits := func(n int) string {
		b := make([]byte, 1+r.IntN(n))
		for i := range b {
			b[i] = byte('0' + r.IntN(10))
		}
		return string(b)
	}
	integer := func(n int) string {
		if s := strings.TrimLeft(digits(n), "0"); s != "" {
			return s
		}
		return "0"
	}
	double := func() float64 {
		for {
			if f := math.Abs(math.Float64frombits(r.Uint64())); f < math.MaxFloat64 {
				return f
			}
		}
	}
	switch r.IntN(12) {
	case 0:
		return sign + strconv.Itoa(r.IntN(100))
	case 1:
		return sign + integer(30)
	case 2:
		return sign + integer(25) + "." + digits(25)
	case 3:
		return sign + integer(3) + exponent(40)
	case 4:
		return sign + integer(20) + "." + digits(20) + exponent(400)
	case 5:
		return sign + strconv.FormatFloat(double(), 'e', r.IntN(25)-1, 64)
	case 6:
		return sign + strconv.FormatFloat(math.Ldexp(1+float64(r.IntN(3)-1)*0x1p-52, r.IntN(2098)-1074), 'e', 17+r.IntN(4), 64)
	case 7:
		return sign + halfway(double(), pick(r, []int{0, 18, 25, 40}))
	case 8: // whole numbers around 2⁵³ and 2⁶⁴
		return sign + strconv.FormatUint(1<<53+1<<uint(r.IntN(11))*uint64(r.IntN(9)), 10) + pick(r, []string{"", "", "0", "0000", ".0", ".5"})
	case 9: // where ECMAScript changes to exponents
		return sign + fmt.Sprintf("%d.%de%d", 1+r.IntN(9), r.IntN(100), pick(r, []int{-8, -7, -6, -5, 19, 20, 21, 22}))
	case 10:
		return sign + "0." + strings.Repeat("0", r.IntN(400)) + digits(20) + exponent(400)
	default:
		return sign + pick(r, []string{"0", "0.0", "0e0", "0e999999999999", "1e999999999999", "1e-999999999999", integer(900), "0." + digits(900), integer(400) + exponent(400)})
	}
}
