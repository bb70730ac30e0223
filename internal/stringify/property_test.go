package stringify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

var (
	wholeString = regexp.MustCompile(`"(?:\\u[0-9A-Fa-f]{4}|\\["\\/bfnrt]|[^"\\\x00-\x1f])*"`)
	character   = regexp.MustCompile(`\\u[0-9A-Fa-f]{4}|\\.|[^\\]`)
	large       = regexp.MustCompile(`e[+-][0-9]{3}`)
)

// inHex replaces each string of a text with its UTF-16 units in hexadecimal. jsontext knows no lone
// surrogates; this way it tells names apart as ECMAScript does. Malformed strings stay as they are.
func inHex(src []byte) []byte {
	short := map[byte]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '/': '/'}
	return wholeString.ReplaceAllFunc(src, func(s []byte) []byte {
		inside := character.ReplaceAllFunc(s[1:len(s)-1], func(c []byte) []byte {
			r, _ := utf8.DecodeRune(c)
			switch {
			case len(c) == 6:
				unit, err := strconv.ParseUint(string(c[2:]), 16, 16)
				if err != nil {
					panic(err)
				}
				return fmt.Appendf(nil, "%04x", unit)
			case c[0] == '\\':
				r = short[c[1]]
			}
			var out []byte
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, "%04x", unit)
			}
			return out
		})
		return append(append([]byte{'"'}, inside...), '"')
	})
}

// judge reports, by another parser, whether a text is one JSON value in UTF-8, and whether no
// object has a member twice.
func judge(src []byte) (valid, unique bool) {
	if !utf8.Valid(src) {
		return false, false
	}
	value := jsontext.Value(inHex(src))
	return value.IsValid(jsontext.AllowDuplicateNames(true)), value.IsValid()
}

// levels returns how deep a text nests, well-formed or not.
func levels(src []byte) int {
	now, most := 0, 0
	for _, c := range wholeString.ReplaceAll(src, nil) {
		switch c {
		case '[', '{':
			now++
			most = max(most, now)
		case ']', '}':
			now--
		}
	}
	return most
}

// checkParse checks everything about Parse that holds for any input and needs no ECMAScript engine.
func checkParse(t *testing.T, src []byte) {
	t.Helper()
	before := bytes.Clone(src)
	got, err := Parse(src)
	if !bytes.Equal(src, before) {
		t.Fatalf("Parse(%q) wrote into its input: %q", before, src)
	}
	valid, unique := judge(src)
	wrong := false
	switch {
	case err == nil:
		wrong = !unique || levels(src) > MaxDepth
	case errors.Is(err, ErrSyntax):
		wrong = valid
	case errors.Is(err, ErrUTF8):
		wrong = utf8.Valid(src)
	case errors.Is(err, ErrDuplicate):
		wrong = unique
	case errors.Is(err, ErrDepth):
		wrong = levels(src) <= MaxDepth
	default:
		wrong = true
	}
	if wrong {
		t.Fatalf("Parse(%q) = %q, %v; but it is JSON: %v, without duplicates: %v", src, got, err, valid, unique)
	}
	if err == nil {
		checkCanonical(t, src, got)
		checkCompact(t, src)
	}
}

// checkCompact compares the text as it was sent with encoding/json, and reads the result with a Cursor.
func checkCompact(t *testing.T, src []byte) {
	t.Helper()
	var want bytes.Buffer
	if err := json.Compact(&want, src); err != nil {
		return // nested too deep for it
	}
	c, err := Check(src, true)
	expect.NoError(t, err)
	size, got := c.Size(), c.Text()
	if !bytes.Equal(got, want.Bytes()) || size == 0 && &got[0] != &src[0] || size > 0 && size < len(got) {
		t.Fatalf("as sent %q is %q, want %q; Size is %d", src, got, want.Bytes(), size)
	}
	var members map[string]json.RawMessage
	areKnown := json.Unmarshal(got, &members) == nil && !bytes.Contains(got, []byte(`\u`))
	cursor, n := Cursor{Text: got}, 0
	all := cursor.Object(func(name []byte) {
		if value := cursor.Value(); len(value) == 0 || areKnown && !bytes.Equal(value, members[string(name)]) {
			t.Errorf("of %q: the member %q is %q", got, name, value)
		}
		n++
	})
	if areKnown && len(members) != n || !bytes.Equal(all, got) {
		t.Errorf("a Cursor reads %q as %q with %d members", got, all, n)
	}
	members = nil
	if json.Unmarshal(src, &members) != nil || bytes.Contains(src, []byte(`\u`)) {
		return // another decoder may take other names for one
	}
	for name, value := range members {
		if written := Text(src).Member(name); !bytes.Equal(written, value) {
			t.Errorf("%q of %q is written %q, want %q", name, src, written, value)
		}
	}
	if Text(src).Member("no such member") != nil {
		t.Errorf("%q has a member that it doesn't have", src)
	}
}

// checkCanonical checks the properties of every canonical form on got, which Parse made of src.
func checkCanonical(t *testing.T, src []byte, got Text) {
	t.Helper()
	if bound := len(src)*22/5 + 5; len(got) > bound { // 1e20, the worst, is 22 bytes for 5
		t.Errorf("Parse(%q) has %d bytes, more than %d", src, len(got), bound)
	}
	if c, err := Check(src, false); err != nil || c.Size() > 0 && c.Size() < len(got) {
		t.Errorf("Parse(%q) has %d bytes, Size is %d, %v", src, len(got), c.Size(), err)
	}
	again, err := Parse(got)
	if err != nil || !bytes.Equal(again, got) {
		t.Fatalf("Parse(%q) = %q; that again is %q, %v", src, got, again, err)
	}
	if &again[0] != &got[0] && !large.Match(wholeString.ReplaceAll(got, nil)) {
		t.Errorf("Parse(%q) was copied, although it is canonical", got)
	}
	// A text that the recogniser calls canonical is unchanged by the writer.
	if written := (Checked{src: got}).Text(); !bytes.Equal(written, got) {
		t.Errorf("%q is taken to be canonical, but written anew it is %q", got, written)
	}
	if bytes.Contains(got, []byte(`\ud`)) {
		return // lone surrogates, of which encoding/json knows nothing
	}
	var was, is any
	if json.Unmarshal(src, &was) == nil { // it refuses what is past the doubles
		if err := json.Unmarshal(got, &is); err != nil || !reflect.DeepEqual(was, is) {
			t.Errorf("Parse(%q) = %q, which means something else: %v", src, got, err)
		}
	}
	checkMembers(t, got)
}

// checkMembers compares Member and String with encoding/json.
func checkMembers(t *testing.T, text Text) {
	t.Helper()
	var members map[string]json.RawMessage
	if !text.IsObject() || json.Unmarshal(text, &members) != nil {
		return
	}
	for name, want := range members {
		got := text.Member(name)
		if !bytes.Equal(got, want) {
			t.Errorf("Member(%q) of %q = %q, want %q", name, text, got, want)
		}
		var s string
		if got.IsString() && (json.Unmarshal(got, &s) != nil || got.String() != s) {
			t.Errorf("String() of %q = %q, want %q", got, got.String(), s)
		}
	}
	if got := text.Member("no such member"); got != nil && members["no such member"] == nil {
		t.Errorf("%q has no such member, but Member = %q", text, got)
	}
}

// No body makes Parse panic. An accepted body is one JSON value without duplicates, and the result
// is its canonical form.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(checkParse)
}

// addSeeds adds the vectors; testdata/fuzz/FuzzParse has the others.
func addSeeds(f *testing.F) {
	f.Helper()
	for _, file := range []string{"testdata/js-stringify-cases.jsonl", "testdata/js-parse-rejects.jsonl"} {
		for _, p := range readPairs(f, file) {
			f.Add([]byte(p.In))
		}
	}
	f.Add(indented(f, readSample(f, "flock/samples/09-campaign.launched-nested.json")))
	f.Add(readSample(f, "frigade/samples/06-completedFlow-integer-step-ids.json"))
}

func TestRandomDocuments(t *testing.T) {
	r := newRandom(t)
	for range *documents / 3 { // judging them takes time; Node's tests have as many as the flag says
		checkParse(t, document(r))
	}
}
