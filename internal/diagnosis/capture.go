package diagnosis

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Delivery is a captured request: from the wire, the output of curl or tcpdump, a proxy's log, or a
// JSON body alone. Reading one takes at most a few times the memory of the capture.
type Delivery struct {
	Method  string // "": the capture has no request line
	Target  string // of the request line
	Version string // of HTTP
	Proxy   bool   // the PROXY protocol precedes it
	Header  []Field
	Body    []byte
	Notes   []string // on how it was read
}

// Field is one line of the headers, its name as it was written.
type Field struct{ Name, Value string }

// Values returns the values of the headers of that name, whatever its case.
func (d *Delivery) Values(name string) (values []string) {
	for _, f := range d.Header {
		if http.CanonicalHeaderKey(f.Name) == http.CanonicalHeaderKey(name) {
			values = append(values, f.Value)
		}
	}
	return values
}

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

// ErrNoDelivery means that a text is not a captured delivery.
var ErrNoDelivery = errors.New("neither an HTTP request nor a JSON body: " +
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
		return Delivery{}, ErrNoDelivery
	}
	d.Method, d.Target = string(src[at[2]:at[3]]), string(src[at[4]:at[5]])
	d.Version = string(src[at[6]:at[7]])
	_, rest, _ := bytes.Cut(src[at[1]:], []byte{'\n'})
	prefix := src[bytes.LastIndexByte(src[:at[0]], '\n')+1 : at[0]]
	if len(prefix) > 0 && bytes.HasPrefix(rest, bytes.TrimRight(prefix, " ")) {
		if string(prefix) == "> " {
			rest = cutAnswer(rest)
		}
		rest = unprefixed(rest, prefix)
	}
	rest = d.readHeader(rest)
	if requestLine.Match(d.readBody(rest)) {
		d.note("the capture holds more than one request; this is the first")
	}
	return d, nil
}

var byteOrderMark = []byte("\ufeff")

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
			continue // it is above, and true: a capture may be cut
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
