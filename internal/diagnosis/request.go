package diagnosis

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// requestLine matches a request's first line. tcpdump prints the packet's headers before it.
var requestLine = regexp.MustCompile(`(?m)(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([!-~]+) HTTP/([0-9](?:\.[0-9])?)[ \t\r]*$`)

var (
	// headEnd matches the empty line after the headers, or the brace of a body that follows them.
	headEnd = regexp.MustCompile(`(?m)^(?:[ \t]*\r?(?:\n|\z)|\{)`)
	// fold matches the break before a header's continuation line (RFC 9112, 5.2).
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
		name, value, ok := strings.Cut(strings.TrimLeft(string(line), blank), ":")
		if ok && !strings.HasPrefix(name, "{") { // the server refuses other bad names
			d.Header = append(d.Header, Field{name, strings.Trim(value, blank)})
		} else {
			d.note("a line among the headers is not a header, and is ignored")
		}
	}
	return rest
}

// blank is what may surround a header's value (RFC 9110, 5.5), and the line's end.
const blank = " \t\r\n"

// ParseHeader reads headers without a body, with or without a request line.
func ParseHeader(src []byte) (Delivery, error) {
	if requestLine.Match(src) {
		d, err := Parse(src)
		d.Body = nil
		return d, err
	}
	var d Delivery
	d.readHeader(bytes.TrimLeft(bytes.TrimPrefix(src, byteOrderMark), "\r\n"))
	if len(d.Header) == 0 {
		return Delivery{}, ErrNoHeader
	}
	return d, nil
}

// ErrNoHeader means that a text has no headers.
var ErrNoHeader = errors.New("no headers: each is on its own line, such as Content-Type: application/json")

// readBody reads the body as the headers say, and returns what follows.
func (d *Delivery) readBody(src []byte) (rest []byte) {
	d.Body = src
	if d.isChunked() {
		body, rest, ok := joinChunks(src)
		if ok {
			d.Body = body
		} else {
			d.note("the body isn't in whole chunks: it is read as it stands")
		}
		return rest
	}
	lengths := d.Values("Content-Length")
	if len(lengths) == 0 {
		return nil
	}
	length, err := strconv.Atoi(lengths[0])
	switch {
	case err != nil || length < 0: // the server refuses it
	case length > len(src):
		d.note("the body has %d bytes here, and Content-Length is %d: the capture is incomplete, or has other line ends", len(src), length)
	default:
		d.Body, rest = src[:length], src[length:]
		if len(bytes.TrimSpace(rest)) > 0 {
			d.note("what follows the %d bytes of Content-Length is ignored", length)
		}
	}
	return rest
}

// joinChunks joins a body's chunks (RFC 9112, 7.1), if they are whole: a tool may have joined them.
func joinChunks(src []byte) (body, rest []byte, ok bool) {
	for {
		line, rest, _ := bytes.Cut(src, []byte{'\n'})
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseInt(strings.Trim(digits, blank), 16, 32)
		switch {
		case err != nil || size < 0 || size > int64(len(rest)):
			return nil, nil, false
		case size == 0:
			return body, rest, true
		}
		body = append(body, rest[:size]...)
		_, src, _ = bytes.Cut(rest[size:], []byte{'\n'})
	}
}
