package stringify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// input is a text that benchmarks and the tests of memory share.
type input struct {
	name string
	text []byte
}

func readSample(tb testing.TB, name string) []byte {
	tb.Helper()
	src, err := os.ReadFile("../verify/" + name)
	expect.NoError(tb, err)
	return bytes.TrimSpace(src)
}

func indented(tb testing.TB, src []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	expect.NoError(tb, json.Indent(&out, src, "", "  "))
	return out.Bytes()
}

// usual are bodies as vendors send them, compact, and as a proxy that pretty-prints would leave them.
func usual(tb testing.TB) []input {
	tb.Helper()
	large := readSample(tb, "flock/samples/10-invitee.accepted-50k.json")
	array := func(size int) []byte { // the large sample, over and over
		return []byte("[" + strings.Repeat(string(large)+",", size/len(large)) + "0]")
	}
	return []input{
		{"canonical 0.7 KB", readSample(tb, "frigade/samples/09-startedFlow-numbers-custom-properties.json")},
		{"canonical 50 KB", large},
		{"canonical 512 KB", array(512 << 10)},
		{"indented 0.9 KB", indented(tb, readSample(tb, "frigade/samples/09-startedFlow-numbers-custom-properties.json"))},
		{"indented 75 KB", indented(tb, large)},
		{"indented 1 MB", indented(tb, array(720<<10))},
	}
}

// worst are texts of about that size, each as expensive as possible: what an attacker without a key
// may send. If a text is canonical except for one byte, that byte comes last, so that both passes
// read all of it.
func worst(size int) []input {
	// fill repeats what element makes until the size is reached.
	fill := func(open, end string, element func(i int) string) []byte {
		text := []byte(open)
		for i := 0; len(text) < size; i++ {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, element(i)...)
		}
		return append(text, end...)
	}
	array := func(element func(i int) string) []byte { return fill("[", " ]", element) }
	same := func(element string) []byte { return array(func(int) string { return element }) }
	text := func(part string) []byte { return []byte(`"` + strings.Repeat(part, size/len(part)) + `" `) }
	random := rand.New(rand.NewPCG(1, 2))
	inputs := []input{
		{"white space", append(bytes.Repeat([]byte(" "), size), '0')},
		{"plain string", text("x")},
		{"characters of 3 bytes", text("漢")},
		{"short strings", same(`""`)},
		{"empty objects", same(`{}`)},
		{"literals", same(`true`)},
		{"digits", same(`1`)},

		{"escapes, short", text(`\n`)},
		{"escapes, needless", text(`\/`)},
		{"escapes, lone surrogates", text(`\uD800`)},
		{"escapes, pairs", text(`\uD83D\uDE00`)},
		{"escapes, control", text(`\u0001`)},
		{"escapes in names", fill("{", "}", func(i int) string { return fmt.Sprintf(`"\u00%02X\u%04X":0`, i&0x7f, i) })},

		{"many members", fill("{", " }", func(i int) string { return `"` + strconv.FormatInt(int64(i), 36) + `_":0` })},
		{"long names alike", fill("{", " }", func(i int) string { return `"` + strings.Repeat("a", 1000) + strconv.Itoa(1e6+i) + `":0` })},
		{"objects of 8", same(`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0}`)},
		{"objects of 8, long names", array(func(int) string {
			var b strings.Builder
			for c := range 8 {
				fmt.Fprintf(&b, `,"%s%d":0`, strings.Repeat("a", 200), c)
			}
			return "{" + b.String()[1:] + "}"
		})},
		{"objects of 9", same(`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0}`)},
		{"indices ascending", fill("{", " }", func(i int) string { return `"` + strconv.Itoa(i) + `":0` })},
		{"indices descending", fill("{", "}", func(i int) string { return `"` + strconv.Itoa(999999-i) + `":0` })},
		{"indices at random", fill("{", "}", func(i int) string { // an odd factor permutes 0 … 2³²-1
			return `"` + strconv.FormatUint(uint64(uint32(i)*2654435761), 10) + `":0`
		})},
		{"small objects out of order", same(`{"b":0,"1":0}`)},
		{"smallest objects out of order", same(`{"":0,"1":0}`)},
		{"levels", array(func(int) string { return strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) })},
		{"levels out of order", array(func(int) string {
			return strings.Repeat(`{"":`, MaxDepth-1) + "0" + strings.Repeat(`,"0":0}`, MaxDepth-1)
		})},
		{"levels out of order, one large", []byte(strings.Repeat(`{"":`, MaxDepth) + `"` + strings.Repeat("x", size) + `"` + strings.Repeat(`,"0":0}`, MaxDepth))},
	}
	for _, literal := range []string{
		"-0", "0.1", "1e0", "1e5", "1e20", "1e23", "5e-324", "3e-310", "1e309", "9e308", "1e999", "1e-400", "1.0",
		"9007199254740993", "4503599627370496.5", "123456789012345.678", "1.7976931348623157e308",
		halfway(1.7e300, 22), halfway(1.7e-300, 22), halfway(1.7e300, 0), halfway(1.7e-300, 0), halfway(0x1p-1022, 0),
		"0." + strings.Repeat("9", 800), "0." + strings.Repeat("9", 800) + "e-300", "1" + strings.Repeat("0", 400),
		strings.Repeat("7", size), "0." + strings.Repeat("0", size) + "1", "1e" + strings.Repeat("0", size),
	} {
		name := fmt.Sprintf("number %.24s", literal)
		if len(literal) > 24 {
			name += fmt.Sprintf("…, %d bytes", len(literal))
		}
		inputs = append(inputs, input{name, same(literal)})
	}
	return append(inputs, allAtOnce(size),
		input{"doubles at random", array(func(int) string {
			return strconv.FormatFloat(random.NormFloat64(), 'g', -1, 64)
		})},
		input{"doubles of every size", array(func(int) string {
			f := math.Float64frombits(random.Uint64() &^ (1 << 62)) // below 2
			return strconv.FormatFloat(f, 'e', -1, 64)
		})},
		input{"halfway at random", array(func(int) string {
			return halfway(math.Float64frombits(random.Uint64()&^(1<<62)), 22)
		})},
	)
}

// halfway is the decimal that lies between f and the next double, cut off after that many digits; 0
// writes them all.
func halfway(f float64, digits int) string {
	const prec = 3000
	lower, upper := new(big.Float).SetPrec(prec).SetFloat64(f), new(big.Float).SetFloat64(math.Nextafter(f, math.MaxFloat64))
	middle := lower.Quo(lower.Add(lower, upper), big.NewFloat(2))
	if digits > 0 {
		return middle.Text('e', digits)
	}
	s := middle.Text('e', 800)
	mantissa, exponent, _ := strings.Cut(s, "e")
	return strings.TrimRight(mantissa, "0") + "e" + exponent
}

// allAtOnce is a text of about that size with everything expensive in it: many members whose names
// are indices in descending order, plain and escaped, numbers that are hard to round, surrogates,
// pairs and alone, needless escapes, white space, and objects out of order down to the deepest
// level.
func allAtOnce(size int) input {
	random := rand.New(rand.NewPCG(3, 4))
	text := []byte("{")
	for i := 0; len(text) < size; i++ {
		if i > 0 {
			text = append(text, ", "...)
		}
		index := 99_999_999 - i
		switch name, number := strconv.Itoa(index), halfway(math.Float64frombits(random.Uint64()&^(1<<62)), 22); i % 8 {
		case 0:
			text = fmt.Appendf(text, `"\u%04x%s":1e20`, name[0], name[1:])
		case 1:
			text = fmt.Appendf(text, `"%s":{"\u0062":%s,"1":"\uD83D\uDE00\uD800\/","0":-0}`, name, number)
		case 2:
			depth := MaxDepth - 1
			if i%64 != 2 { // all as deep would leave no room for the rest
				depth = 4
			}
			text = fmt.Appendf(text, `"%s":%s0%s`, name, strings.Repeat(`{"":`, depth), strings.Repeat(`,"0":0}`, depth))
		case 3:
			text = fmt.Appendf(text, `"\uD800%s":"\u0001\u00e9\n"`, name)
		default:
			text = fmt.Appendf(text, `"%s":%s`, name, number)
		}
	}
	return input{"all at once", append(text, '}')}
}
