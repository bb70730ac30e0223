package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
	"golang.org/x/text/width"

	"github.com/ade15e70/webhook-bridge/event"
)

type printer struct {
	out     io.Writer
	prefix  string // of subjects; it is not printed
	columns int    // of a line; 0: no limit
	colours bool
}

// newPrinter returns a printer to standard output. On a terminal its lines fit the width, and are coloured
// unless NO_COLOR is set.
func newPrinter(prog program, prefix string) printer {
	p := printer{out: prog.out, prefix: prefix}
	to, _ := prog.out.(output)
	if _, onTerminal := to.Writer.(*terminal); onTerminal {
		p.columns = 80
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			p.columns = width
		}
		p.colours = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return p
}

// shortID is how many digits of an id are printed: `bridge show` takes the beginning of an id.
const shortID = 8

// print prints an event in one line: the time of receipt, the endpoint and the event's name, the person and
// the thing that it is about, and the beginning of its id.
func (p printer) print(subject string, e *event.Event, now time.Time) {
	received, name, id := e.ReceivedTime, p.name(subject), shortened(e.ID)
	if t, err := time.Parse(time.RFC3339, received); err == nil {
		received = formatTime(t, now)
	}
	about := e.UserID
	if e.EntityID != e.UserID {
		about = strings.TrimSpace(about + "  " + e.EntityID)
	}
	line := p.paint(faint, received) + "  " + p.paint(cyan, name) + "  "
	if about != "" {
		line += p.paint(bold, p.fit(about, len(received)+len(name)+len(id)+3*len("  "))) + "  "
	}
	_, _ = fmt.Fprintln(p.out, line+p.paint(faint, id))
}

// Codes for the terminal's own colours, which suit its background.
const (
	bold  = "1"
	faint = "2"
	cyan  = "36"
)

// paint returns the printable text, in a colour if p has colours.
func (p printer) paint(colour, text string) string {
	text = printable(text)
	if !p.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// name returns the endpoint and the event's name from a subject.
func (p printer) name(subject string) string { return strings.TrimPrefix(subject, p.prefix+".") }

func shortened(id string) string { return id[:min(shortID, len(id))] }

// fit truncates a text to the columns that the rest of the line leaves.
func (p printer) fit(text string, used int) string {
	if p.columns == 0 {
		return text
	}
	return truncate(text, max(p.columns-used, 10))
}

// truncate returns the text, cut to so many columns of a terminal.
func truncate(text string, columns int) string {
	used, end := 0, 0
	for i, r := range text {
		if used < columns { // the ellipsis fits here
			end = i
		}
		if used += columnsOf(r); used > columns {
			return text[:end] + "…"
		}
	}
	return text
}

func columnsOf(r rune) int {
	kind := width.LookupRune(r).Kind()
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case kind == width.EastAsianWide, kind == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// formatTime formats a time in now's time zone, with the date unless it is today.
func formatTime(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// terminal writes untrusted text to a terminal: end users choose names and ids, and others may publish to
// the stream. It escapes characters that could move the cursor, change settings or reorder text. It does
// so as JSON does, which keeps JSON valid. Line ends, tabs and colours stay.
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
