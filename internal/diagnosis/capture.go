package diagnosis

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Delivery is a captured request. The capture may be from the wire, of curl or tcpdump, from a proxy's
// log, or a JSON body alone. Reading it takes at most a few times its memory.
type Delivery struct {
	Method  string // "": the capture has no request line
	Target  string // of the request line
	Version string // of HTTP
	Proxy   bool   // a line of the PROXY protocol precedes it
	Header  []Field
	Body    []byte
	Notes   []string // how it was read
}

// Field is one line of the headers, its name as it was written.
type Field struct{ Name, Value string }

// Values returns the values of the headers of that name, whatever its case.
func (d *Delivery) Values(name string) []string { return d.header().Values(name) }

// header returns the headers as net/http does.
func (d *Delivery) header() http.Header {
	h := make(http.Header)
	for _, f := range d.Header {
		h.Add(f.Name, f.Value)
	}
	return h
}

func (d *Delivery) isChunked() bool {
	encodings := d.Values("Transfer-Encoding")
	return len(encodings) > 0 && strings.EqualFold(encodings[len(encodings)-1], "chunked")
}

// note adds a note, unless it is there.
func (d *Delivery) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(d.Notes, text) {
		d.Notes = append(d.Notes, text)
	}
}

var errNoDelivery = errors.New("neither an HTTP request nor a JSON body: " +
	"a request begins with a line such as POST /webhooks/… HTTP/1.1, with the headers and the body below")

// Parse reads a capture. A text that begins with a brace is a body.
func Parse(src []byte) (Delivery, error) {
	var d Delivery
	if begins := bytes.TrimLeft(bytes.TrimPrefix(src, byteOrderMark), " \t\r\n"); len(begins) > 0 && begins[0] == '{' {
		d.Body = src
		return d, nil
	}
	if at := requestLine.FindIndex(src); at != nil {
		d.Proxy = proxyLine.Match(src[max(0, at[0]-256):at[0]]) // room for what tools print around it
	}
	src = d.joinPackets(src)
	at := requestLine.FindSubmatchIndex(src)
	if at == nil {
		return Delivery{}, errNoDelivery
	}
	d.Method, d.Target = string(src[at[2]:at[3]]), string(src[at[4]:at[5]])
	d.Version = string(src[at[6]:at[7]])
	_, rest, _ := bytes.Cut(src[at[1]:], []byte{'\n'})
	prefix := src[bytes.LastIndexByte(src[:at[0]], '\n')+1 : at[0]]
	if len(prefix) > 0 && bytes.HasPrefix(rest, bytes.TrimRight(prefix, " ")) {
		if string(prefix) == "> " {
			rest = cutAnswer(rest)
		}
		rest = trimPrefixes(rest, prefix)
	}
	rest = d.readHeader(rest)
	if requestLine.Match(d.readBody(rest)) {
		d.note("the capture holds more than one request; this is the first")
	}
	return d, nil
}

var byteOrderMark = []byte("\ufeff")

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

// blank has the characters that may surround a header's value (RFC 9110, 5.5), and those of a line's end.
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
		return Delivery{}, errNoHeader
	}
	return d, nil
}

var errNoHeader = errors.New("no headers: each is on its own line, such as Content-Type: application/json")

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

// joinChunks joins a body's chunks (RFC 9112, 7.1). ok is false if they aren't whole, or no chunks: a
// tool may have joined them.
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

// Append appends the delivery as a request on the wire, with the true length of its body.
func (d *Delivery) Append(to []byte) []byte {
	version := d.Version
	if !strings.HasPrefix(version, "1.") && !strings.HasPrefix(version, "0.") { // a proxy has turned HTTP/2 and 3 into 1.1
		version = "1.1"
	}
	if d.Proxy {
		to = append(to, "PROXY UNKNOWN\r\n"...)
	}
	to = fmt.Appendf(to, "%s %s HTTP/%s\r\n", d.Method, d.Target, version)
	lengths, isChunked := slices.Compact(d.Values("Content-Length")), d.isChunked()
	if !isChunked {
		to = fmt.Appendf(to, "Content-Length: %d\r\n", len(d.Body))
	}
	for _, f := range d.Header {
		_, err := strconv.ParseUint(f.Value, 10, 63) // as net/http: without a sign
		if strings.EqualFold(f.Name, "Content-Length") && err == nil && len(lengths) == 1 {
			continue // the true length is above; a capture may be cut
		}
		to = fmt.Appendf(to, "%s: %s\r\n", f.Name, f.Value)
	}
	to = append(to, "\r\n"...)
	switch {
	case !isChunked:
		return append(to, d.Body...)
	case len(d.Body) > 0:
		to = append(fmt.Appendf(to, "%x\r\n", len(d.Body)), d.Body...)
		to = append(to, "\r\n"...)
	}
	return append(to, "0\r\n\r\n"...)
}
