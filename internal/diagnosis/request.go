package diagnosis

import (
	"bytes"
	"regexp"
	"strings"
)

// requestLine matches the first line of a request. Anything may precede it in the line: tcpdump
// prints the packet's headers there.
var requestLine = regexp.MustCompile(`(?m)(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([!-~]+) HTTP/([0-9](?:\.[0-9])?)[ \t\r]*$`)

// token matches a header's name (RFC 9110, 5.6.2).
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

var (
	// headEnd matches the empty line behind the headers, or the brace of a body without one before it.
	headEnd = regexp.MustCompile(`(?m)^(?:[ \t]*\r?(?:\n|\z)|\{)`)
	// fold matches what a header's continuation line begins with (RFC 9112, 5.2).
	fold = regexp.MustCompile(`[ \t\r]*\n[ \t]+`)
)

// readHeader reads the headers up to the empty line, and returns what follows.
func (d *Delivery) readHeader(src []byte) (rest []byte) {
	head := src
	if at := headEnd.FindIndex(src); at != nil {
		head, rest = src[:at[0]], src[at[1]:]
		if at[0] < len(src) && src[at[0]] == '{' {
			rest = src[at[0]:]
			d.note("there is no empty line between the headers and the body")
		}
	}
	for line := range bytes.Lines(fold.ReplaceAll(head, []byte{' '})) {
		if name, value, ok := strings.Cut(string(line), ":"); ok { // a bad name is refused, not ignored
			d.Header = append(d.Header, Field{strings.TrimLeft(name, blank), strings.Trim(value, blank)})
		} else {
			d.note("a line among the headers is not a header, and is ignored")
		}
	}
	return rest
}

// blank may surround a header's value (RFC 9110, 5.5); the line's end, too.
const blank = " \t\r\n"

// AddHeader adds a header written as "Name: value". It reports whether it is one.
func (d *Delivery) AddHeader(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !token.MatchString(name) || strings.Contains(value, "\n") {
		return false
	}
	d.Header = append(d.Header, Field{name, strings.Trim(value, blank)})
	return true
}

// ParseHeader reads headers without a body, with or without a request line.
func ParseHeader(src []byte) (Delivery, error) {
	var d Delivery
	src = bytes.TrimLeft(bytes.TrimPrefix(src, byteOrderMark), "\r\n")
	if requestLine.Match(src) {
		whole, err := Parse(src)
		whole.Body = nil
		return whole, err
	}
	d.readHeader(src)
	if len(d.Header) == 0 {
		return Delivery{}, ErrNoHeader
	}
	return d, nil
}
