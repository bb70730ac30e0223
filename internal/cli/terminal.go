package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// terminal writes untrusted text to a terminal: end users choose names and ids, and others may
// publish to the stream. It escapes characters that could move the cursor, change the terminal's
// settings or reorder text, as JSON does, so that JSON stays valid. It passes line ends, tabs and
// colours.
type terminal struct{ to io.Writer }

// forTerminal returns the stream, wrapped in a [terminal] if it is a terminal.
func forTerminal(stream *os.File) io.Writer {
	if term.IsTerminal(int(stream.Fd())) {
		return &terminal{stream}
	}
	return stream
}

// special matches colours (ECMA-48, SGR), CRLF, and each character that isn't printable.
var special = regexp.MustCompile(`\x1b\[[0-9;]{0,16}m|\r\n|[^\n\t \pL\pM\pN\pP\pS]`)

func (t *terminal) Write(text []byte) (int, error) {
	valid := string([]rune(string(text))) // a wrong byte becomes U+FFFD
	_, err := io.WriteString(t.to, special.ReplaceAllStringFunc(valid, func(s string) string {
		r, size := utf8.DecodeRuneInString(s)
		if size < len(s) {
			return s
		}
		var escaped []byte
		for _, unit := range utf16.Encode([]rune{r}) {
			escaped = fmt.Appendf(escaped, `\u%04x`, unit)
		}
		return string(escaped)
	}))
	return len(text), err
}

// printable replaces the characters of untrusted text that could move a terminal's cursor or break
// the line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
