package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"Zoë 日本 😀\tx\r\n":          "Zoë 日本 😀\tx\r\n",
		"\x1b[31mred\x1b[0m":       "\x1b[31mred\x1b[0m",
		"\x1b[2J\x1b]0;title\x07":  `\u001b[2J\u001b]0;title\u0007`,
		"\u009b2J\u0085\x7f":       `\u009b2J\u0085\u007f`,
		"\u202eabc\u2066\u200f":    `\u202eabc\u2066\u200f`,
		"over\rwritten\r":          `over\u000dwritten\u000d`,
		"\U000e0001":               `\udb40\udc01`,
		"a\xffb\u200b\u2028\u00ad": "a\ufffdb" + `\u200b\u2028\u00ad`,
	} {
		var out bytes.Buffer
		if n, err := (&terminal{&out}).Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("writing %q: got %d, %v, want all of it written", text, n, err)
		}
		expect.Equal(t, want, out.String(), "how %q is written", text)
	}
}

func TestPrintable(t *testing.T) {
	if got, want := printable("Zoë \x1b[2J\r\n\u202e\u0085x"), "Zoë \ufffd[2J\ufffd\ufffd\ufffd\ufffdx"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// For any text only line ends, tabs and colours reach the terminal, and JSON keeps its meaning.
func FuzzTerminal(f *testing.F) {
	for _, seed := range []string{"", `{"a":"` + "\u009b\u202e\x7f" + `"}`, "\x1b[1;31m\x1b[", "\xf0\x9f\x98", "\r\n\r"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var out bytes.Buffer
		expect.NoError(t, expect.Err((&terminal{&out}).Write(text)))
		left := strings.NewReplacer("\r\n", "", "\n", "", "\t", "").Replace(out.String())
		for at := strings.IndexByte(left, '\x1b'); at >= 0; at = strings.IndexByte(left, '\x1b') {
			sequence := special.FindString(left[at:])
			if !strings.HasSuffix(sequence, "m") {
				t.Fatalf("%q is written %q", text, out.String())
			}
			left = left[:at] + left[at+len(sequence):]
		}
		if strings.ContainsFunc(left, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is written %q", text, out.String())
		}
		var before, after any
		if bytes.ContainsRune(text, '\r') /* white space of JSON's */ || json.Unmarshal(text, &before) != nil {
			return
		}
		expect.NoErrorf(t, json.Unmarshal(out.Bytes(), &after), "%q is written %q", text, out.String())
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatal(diff)
		}
	})
}
