package stringify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// pair is a line of the vectors made with Node. Inputs and outputs are JSON strings that may hold
// lone surrogates in escapes only, so encoding/json reads them without loss.
type pair struct {
	In    string `json:"in"`
	Out   string `json:"out"`
	Error string `json:"error"`
}

func readPairs(t testing.TB, file string) []pair {
	t.Helper()
	f, err := os.Open(file)
	expect.NoError(t, err)
	defer f.Close()
	var pairs []pair
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var p pair
		expect.NoErrorf(t, json.Unmarshal(lines.Bytes(), &p), "%s", file)
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return pairs
}

func TestNodeVectors(t *testing.T) {
	duplicates := 0
	for _, p := range readPairs(t, "testdata/js-stringify-cases.jsonl") {
		got, err := Parse([]byte(p.In))
		if errors.Is(err, ErrDuplicate) {
			duplicates++ // Node keeps the last one; we refuse
			continue
		}
		if err != nil || string(got) != p.Out {
			t.Errorf("Parse(%s) = %s, %v; Node has %s", p.In, got, err, p.Out)
			continue
		}
		again, err := Parse([]byte(p.Out))
		if err != nil || string(again) != p.Out {
			t.Errorf("Parse(%s) = %s, %v; it was canonical", p.Out, again, err)
		}
	}
	expect.Equal(t, 5, duplicates, "cases that have a member twice")
}

func TestNodeRejects(t *testing.T) {
	for _, p := range readPairs(t, "testdata/js-parse-rejects.jsonl") {
		if got, err := Parse([]byte(p.In)); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %s, %v; Node has %s", p.In, got, err, p.Error)
		}
	}
}

func TestRefused(t *testing.T) {
	nested := func(depth int, open, end string) string {
		return strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth)
	}
	many := func(last string) string { // enough members to be hashed
		var b strings.Builder
		b.WriteString("{")
		for c := 'a'; c <= 'z'; c++ {
			b.WriteString(`"` + string(c) + `":1,`)
		}
		return b.String() + last + ":2}"
	}
	for _, test := range []struct {
		name string
		in   string
		want error
	}{
		{"invalid UTF-8", "{\"a\":\"\xff\"}", ErrUTF8},
		{"UTF-8 of a surrogate", "{\"a\":\"\xed\xa0\x80\"}", ErrUTF8},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", ErrUTF8},
		{"byte order mark", "\ufeff{}", ErrSyntax},
		{"NUL after the value", "{}\x00", ErrSyntax},
		{"half a low surrogate", `"\ud83d\ude0"`, ErrSyntax},
		{"half a low surrogate, and an escape", `"\ud83d\ude\n0"`, ErrSyntax},
		{"twice", `{"a":1,"a":1}`, ErrDuplicate},
		{"twice, one escaped", `{"a":1,"\u0061":1}`, ErrDuplicate},
		{"twice, both escaped differently", `{"\u00e9":1,"\u00E9":1}`, ErrDuplicate},
		{"twice, a pair and its character", `{"\ud83d\ude00":1,"😀":1}`, ErrDuplicate},
		{"twice, deep inside", `[{"a":[{"b":{"c":1,"x":{},"c":2}}]}]`, ErrDuplicate},
		{"twice, an index", `{"1":1,"1":1}`, ErrDuplicate},
		{"twice among many", many(`"q"`), ErrDuplicate},
		{"twice among many, escaped", many(`"\u0071"`), ErrDuplicate},
		{"twice, lone surrogates", `{"\ud800":1,"\uD800":1}`, ErrDuplicate},
		{"too many arrays", nested(MaxDepth+1, "[", "]"), ErrDepth},
		{"too many objects", nested(MaxDepth+1, `{"a":`, "}"), ErrDepth},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := Parse([]byte(test.in)); !errors.Is(err, test.want) {
				t.Errorf("Parse = %.100s, %v; want %v", got, err, test.want)
			}
		})
	}
	for _, in := range []string{
		nested(MaxDepth, "[", "]"),
		nested(MaxDepth, `{"a":`, "}"),
		`{"\ud800":1,"\ud801":1,"�":1}`, // three names; a decoder with replacement sees one
		`{"a":{"a":{"a":1}},"b":{"a":1}}`,
		many(`"é"`),
	} {
		if got, err := Parse([]byte(in)); err != nil || string(got) != in {
			t.Errorf("Parse(%.100s) = %.100s, %v; it is canonical", in, got, err)
		}
	}
}

// Indices come first, ascending; all other names keep their order.
func TestOrder(t *testing.T) {
	for _, n := range []int{2, 9, 33, 500} {
		var in, indices, others []string
		for i := range n {
			other := fmt.Sprintf(`"%x_":%d`, (i*7919)%n, i)
			in = append(in, other, fmt.Sprintf(`"%d":[]`, n-1-i))
			others = append(others, other)
			indices = append(indices, fmt.Sprintf(`"%d":[]`, i))
		}
		want := "{" + strings.Join(append(indices, others...), ",") + "}"
		if got, err := Parse([]byte("{" + strings.Join(in, ",") + "}")); err != nil || string(got) != want {
			t.Errorf("with %d of each, Parse = %s, %v; want %s", n, got, err, want)
		}
	}
}

// Reordering at every level must not copy inner values once for each level.
func TestReorderingIsLinear(t *testing.T) {
	const levels = MaxDepth - 1
	in := strings.Repeat(`{"b":`, levels) + `"` + strings.Repeat("x", 1<<16) + `"` + strings.Repeat(`,"1":0}`, levels)
	want := strings.Repeat(`{"1":0,"b":`, levels) + `"` + strings.Repeat("x", 1<<16) + `"` + strings.Repeat(`}`, levels)
	got, err := Parse([]byte(in))
	if err != nil || string(got) != want {
		t.Fatalf("Parse = %.60s…, %v", got, err)
	}
}

func TestMember(t *testing.T) {
	text, err := Parse([]byte(`{"a":"x\"}y","n":-1.5e-7,"o":{"a":[{"deep":"}"}],"k":true},"e":{},"z":null,"lone":"a\ud800b"}`))
	expect.NoError(t, err)
	for _, test := range []struct{ got, want Text }{
		{text.Member("a"), Text(`"x\"}y"`)},
		{text.Member("n"), Text(`-1.5e-7`)},
		{text.Member("o"), Text(`{"a":[{"deep":"}"}],"k":true}`)},
		{text.Member("o").Member("k"), Text(`true`)},
		{text.Member("e"), Text(`{}`)},
		{text.Member("e").Member("a"), nil},
		{text.Member("z"), Text(`null`)},
		{text.Member("deep"), nil},
		{text.Member("missing"), nil},
		{text.Member("missing").Member("a"), nil},
		{text.Member("a").Member("a"), nil},
	} {
		if !bytes.Equal(test.got, test.want) || (test.got == nil) != (test.want == nil) {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
	expect.Equal(t, `x"}y`, text.Member("a").String(), "String()")
	expect.Equal(t, "a\uffffb", text.Member("lone").String(), "String()")
	expect.Equal(t, true, text.Member("n").IsNumber(), "IsNumber()")
	expect.Equal(t, false, text.Member("z").IsNumber(), "IsNumber()")
}

// Every character and every surrogate, escaped in upper case, is written as encoding/json reads it
// or, if lone, as the escape in lower case.
func TestEveryEscape(t *testing.T) {
	const upper = "0123456789ABCDEF"
	for r := rune(0); r <= 0xffff; r++ {
		in := []byte{'"', '\\', 'u', upper[r>>12], upper[r>>8&15], upper[r>>4&15], upper[r&15], '"'}
		got, err := Parse(in)
		expect.NoErrorf(t, err, "Parse(%s)", in)
		want := strings.ToLower(string(in))
		if !utf16.IsSurrogate(r) && (r >= 0x20 || strings.ContainsRune(short, r)) {
			var buf bytes.Buffer
			e := json.NewEncoder(&buf)
			e.SetEscapeHTML(false)
			expect.NoError(t, e.Encode(string(r)))
			want = strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSpace(buf.String()))
		}
		expect.Equal(t, want, string(got), "Parse(%s)", in)
	}
}
