package diagnosis

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// ErrNoHeader is the error of a text without a header.
var ErrNoHeader = errors.New("no headers; they stand in a line each, such as Content-Type: application/json")

// readBody reads the body: in chunks, of a length or to the end, as the headers have it.
func (d *Delivery) readBody(lines *lineReader) {
	rest := lines.rest
	encodings := d.Values("Transfer-Encoding")
	if len(encodings) > 0 && strings.EqualFold(encodings[len(encodings)-1], "chunked") {
		d.readChunks(lines)
		return
	}
	d.Body, lines.rest = rest, nil
	lengths := d.Values("Content-Length")
	if len(lengths) == 0 {
		return
	}
	length, err := strconv.Atoi(lengths[0])
	switch {
	case err != nil || length < 0:
		d.note("Content-Length isn't a length")
	case length > len(rest):
		d.note("the body has %d bytes here, and Content-Length is %d: the capture is incomplete, or has other line ends", len(rest), length)
	default:
		d.Body, lines.rest = rest[:length], rest[length:]
		if len(bytes.TrimSpace(lines.rest)) > 0 {
			d.note("what follows the %d bytes of Content-Length is ignored", length)
		}
	}
}

// readChunks joins the chunks (RFC 9112, 7.1). Proxies log bodies without them.
func (d *Delivery) readChunks(lines *lineReader) {
	if begins := bytes.TrimLeft(lines.rest, " \t\r\n"); len(begins) > 0 && begins[0] == '{' {
		d.Body, lines.rest = lines.rest, nil
		d.note("the chunks of the body are joined already")
		return
	}
	d.Body = []byte{}
	for {
		line, ok := lines.next()
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseInt(strings.Trim(digits, blank), 16, 32)
		switch {
		case !ok || err != nil || size < 0 || size > int64(len(lines.rest)):
			d.note("the body's chunks break off: the capture is incomplete, or has other line ends")
			d.Body, lines.rest = append(d.Body, lines.rest...), nil
			return
		case size == 0:
			return
		}
		d.Body = append(d.Body, lines.rest[:size]...)
		lines.rest = lines.rest[size:]
		if line, ok := lines.next(); ok && len(line) > 0 {
			d.note("a chunk of the body is longer or shorter than it says")
		}
	}
}
