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
type terminal struct {
	to   io.Writer
	rest []byte // an incomplete character
}

// forTerminal returns the stream, wrapped in a [terminal] if it is a terminal.
func forTerminal(stream *os.File) io.Writer {
	if term.IsTerminal(int(stream.Fd())) {
		return &terminal{to: stream}
	}
	return stream
}

// colour is a sequence that sets colours and nothing else (ECMA-48, SGR).
var colour = regexp.MustCompile(`^\x1b\[[0-9;]{0,16}m`)

// Write writes text. It keeps an incomplete last character until its rest comes.
func (t *terminal) Write(text []byte) (int, error) {
	n := len(text)
	text = append(t.rest, text...)
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1 && !utf8.FullRune(text):
			t.rest = append(t.rest[:0:0], text...)
			_, err := t.to.Write(out)
			return n, err
		case r == '\n' || r == '\t' || unicode.IsPrint(r) && !(r == utf8.RuneError && size == 1):
			out = append(out, text[:size]...)
		case r == '\r' && len(text) > 1 && text[1] == '\n':
			out = append(out, '\r')
		case r == '\x1b' && colour.Match(text):
			size = len(colour.Find(text))
			out = append(out, text[:size]...)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	t.rest = nil
	_, err := t.to.Write(out)
	return n, err
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
