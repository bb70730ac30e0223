package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"

	"github.com/ade15e70/webhook-bridge/event"
)

// printer prints events, one per line.
type printer struct {
	out     io.Writer
	prefix  string // of the subjects, not printed
	columns int    // width of a line; 0: unlimited
	colours bool
}

// newPrinter returns a printer to standard output, for subjects with this prefix. On a terminal its
// lines fit the width, and are coloured unless NO_COLOR is set.
func newPrinter(prog program, prefix string) printer {
	p := printer{out: prog.out, prefix: prefix}
	to, _ := prog.out.(output)
	if _, onTerminal := to.Writer.(*terminal); onTerminal {
		p.columns = 80
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			p.columns = width
		}
		p.colours = prog.variable("NO_COLOR") == "" && prog.variable("TERM") != "dumb"
	}
	return p
}

// variable returns the value of an environment variable. If it is set twice, the last one counts.
func (p program) variable(name string) (value string) {
	for _, assignment := range p.environ {
		if v, ok := strings.CutPrefix(assignment, name+"="); ok {
			value = v
		}
	}
	return value
}

// shortID is how many digits of an id are printed: `bridge show` takes an abbreviated id.
const shortID = 8

// print prints an event for people: the time of receipt, its endpoint and name, the person and the
// thing it is about, and the beginning of its id. If the message is no event, it prints why.
func (p printer) print(subject string, e *event.Event, invalid error, now time.Time) {
	if invalid != nil {
		_, _ = fmt.Fprintln(p.out, p.paint(red, fmt.Sprintf("%s  not one of the bridge's events: %v", subject, invalid)))
		return
	}
	received, name, id := e.ReceivedTime, p.name(subject), shortened(e.ID)
	if t, err := time.Parse(time.RFC3339, received); err == nil {
		received = formatTime(t, now, time.TimeOnly)
	}
	about := e.UserID
	if e.EntityID != e.UserID {
		about = strings.TrimSpace(about + "  " + e.EntityID)
	}
	about = p.fit(printable(about), len(received)+len(name)+len(id)+len("      "))
	parts := []string{p.paint(faint, received), p.paint(cyan, name)}
	if about != "" {
		parts = append(parts, p.paint(bold, about))
	}
	_, _ = fmt.Fprintln(p.out, strings.Join(append(parts, p.paint(faint, id)), "  "))
}

// name returns the endpoint and the event's name, which make up a subject.
func (p printer) name(subject string) string { return strings.TrimPrefix(subject, p.prefix+".") }

func shortened(id string) string { return id[:min(shortID, len(id))] }

// fit truncates a text to the columns that the rest of the line leaves.
func (p printer) fit(text string, used int) string {
	if p.columns == 0 {
		return text
	}
	return truncate(text, max(p.columns-used, 10))
}

// truncate returns the text, cut to that many columns of a terminal.
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

// columnsOf returns how many columns of a terminal a character takes.
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

// The terminal's own colours, so that they suit its background.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	cyan  = "36"
)

func (p printer) paint(colour, text string) string {
	text = printable(text)
	if !p.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// milliseconds is a layout for formatTime.
const milliseconds = "15:04:05.000"

// formatTime formats a time in now's zone, by the layout and with the date unless that is today.
func formatTime(t, now time.Time, layout string) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(layout)
	}
	return t.Format(time.DateOnly + " " + layout)
}

// printJSON prints an event's JSON in one line. Only messages that the bridge didn't write may have
// line breaks.
func printJSON(w io.Writer, payload []byte) {
	if bytes.ContainsAny(payload, "\n\r") {
		var compact bytes.Buffer
		if json.Compact(&compact, payload) == nil {
			payload = compact.Bytes()
		}
	}
	_, _ = fmt.Fprintf(w, "%s\n", payload)
}
