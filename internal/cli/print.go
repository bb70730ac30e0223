package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/ade15e70/webhook-bridge/event"
)

// printer prints events, in a line each.
type printer struct {
	out     io.Writer
	prefix  string // of the subjects, left out
	columns int    // that a line must fit, or 0
	colours bool
}

// newPrinter returns a printer to standard output, for subjects with that prefix. On a terminal its
// lines fit, and are coloured unless NO_COLOR is set.
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

// variable returns an environment variable's value. The last of a name counts.
func (p program) variable(name string) (value string) {
	for _, assignment := range p.environ {
		if v, ok := strings.CutPrefix(assignment, name+"="); ok {
			value = v
		}
	}
	return value
}

// shortID is how many digits of an id a line has. `bridge show` takes them for the whole.
const shortID = 8

// print prints an event for people: when it was received, with the date unless that is today, its
// endpoint and name, the person and the thing it is about, the beginning of its id. A message that
// is no event is printed with the reason.
func (p printer) print(subject string, e *event.Event, none error, now time.Time) {
	if none != nil {
		_, _ = fmt.Fprintln(p.out, p.paint(red, fmt.Sprintf("%s  not one of the bridge's events: %v", subject, none)))
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

// name returns the endpoint and the event that a subject names.
func (p printer) name(subject string) string { return strings.TrimPrefix(subject, p.prefix+".") }

func shortened(id string) string { return id[:min(shortID, len(id))] }

// fit cuts a text so that it fits the columns that others leave.
func (p printer) fit(text string, others int) string {
	if p.columns == 0 {
		return text
	}
	return truncate(text, max(p.columns-others, 10))
}

// truncate returns the text, or what fits so many columns.
func truncate(text string, columns int) string {
	if characters := []rune(text); len(characters) > columns {
		return string(characters[:columns-1]) + "…"
	}
	return text
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

// milliseconds is a layout of the time of day.
const milliseconds = "15:04:05.000"

// formatTime formats a time in the local zone, with the date unless that is today.
func formatTime(t, now time.Time, clock string) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(clock)
	}
	return t.Format(time.DateOnly + " " + clock)
}

// printJSON prints an event's JSON in a line. The bridge's own has no line break; another's may.
func printJSON(w io.Writer, payload []byte) {
	if bytes.ContainsAny(payload, "\n\r") {
		var compact bytes.Buffer
		if json.Compact(&compact, payload) == nil {
			payload = compact.Bytes()
		}
	}
	_, _ = fmt.Fprintf(w, "%s\n", payload)
}
