package diagnosis

import (
	"bytes"
	"regexp"
	"strings"
)

// requestLine matches the first line of a request. Anything may precede it in the line: tcpdump
// prints the packet's headers there.
var requestLine = regexp.MustCompile(`(?m)(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([!-~]+) HTTP/([0-9](?:\.[0-9])?)[ \t\r]*$`)

// lineReader reads the lines after the request line.
type lineReader struct{ rest []byte }

// next returns the next line without its end; ok is false at the end.
func (l *lineReader) next() (line []byte, ok bool) {
	if len(l.rest) == 0 {
		return nil, false
	}
	line, l.rest, _ = bytes.Cut(l.rest, []byte{'\n'})
	return bytes.TrimRight(line, "\r"), true
}

// token matches a header's name (RFC 9110, 5.6.2).
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// readHeader reads the headers up to the empty line.
func (d *Delivery) readHeader(lines *lineReader) {
	var folded []string // continuation lines of the last header
	defer func() { d.unfold(folded) }()
	for {
		before := lines.rest
		line, ok := lines.next()
		switch {
		case !ok || len(bytes.Trim(line, " \t")) == 0:
			return
		case line[0] == '{':
			lines.rest = before
			d.note("there is no empty line between the headers and the body")
			return
		}
		if (line[0] == ' ' || line[0] == '\t') && len(d.Header) > 0 {
			folded = append(folded, strings.Trim(string(line), blank))
			continue
		}
		d.unfold(folded)
		folded = nil
		if name, value, ok := strings.Cut(string(line), ":"); ok { // a bad name is refused, not ignored
			d.Header = append(d.Header, Field{strings.TrimLeft(name, blank), strings.Trim(value, blank)})
		} else {
			d.note("a line among the headers is not a header, and is ignored")
		}
	}
}

// unfold adds continuation lines to the last header's value (RFC 9112, 5.2).
func (d *Delivery) unfold(lines []string) {
	if len(lines) > 0 {
		last := &d.Header[len(d.Header)-1]
		last.Value = strings.Trim(last.Value+" "+strings.Join(lines, " "), blank)
	}
}

// blank may surround a header's value (RFC 9110, 5.5); the line's end, too.
const blank = " \t\r"

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
	d.readHeader(&lineReader{src})
	if len(d.Header) == 0 {
		return Delivery{}, ErrNoHeader
	}
	return d, nil
}
