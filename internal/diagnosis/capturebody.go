package diagnosis

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// ErrNoHeader is the error of a text without a header.
var ErrNoHeader = errors.New("no headers; they stand in a line each, such as Content-Type: application/json")

// readBody reads the body: in chunks, of a length or to the end, as the headers have it. It returns
// what follows.
func (d *Delivery) readBody(src []byte) (rest []byte) {
	encodings := d.Values("Transfer-Encoding")
	if len(encodings) > 0 && strings.EqualFold(encodings[len(encodings)-1], "chunked") {
		return d.readChunks(src)
	}
	d.Body = src
	lengths := d.Values("Content-Length")
	if len(lengths) == 0 {
		return nil
	}
	length, err := strconv.Atoi(lengths[0])
	switch {
	case err != nil || length < 0:
		d.note("Content-Length isn't a length")
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

// readChunks joins the chunks (RFC 9112, 7.1). Proxies log bodies without them.
func (d *Delivery) readChunks(src []byte) (rest []byte) {
	if bytes.HasPrefix(bytes.TrimSpace(src), []byte{'{'}) {
		d.Body = src
		d.note("the chunks of the body are joined already")
		return nil
	}
	d.Body = []byte{}
	for {
		line, rest, _ := bytes.Cut(src, []byte{'\n'})
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseInt(strings.Trim(digits, blank), 16, 32)
		switch {
		case err != nil || size < 0 || size > int64(len(rest)):
			d.note("the body's chunks break off: the capture is incomplete, or has other line ends")
			d.Body = append(d.Body, rest...)
			return nil
		case size == 0:
			return rest
		}
		d.Body = append(d.Body, rest[:size]...)
		if line, src, _ = bytes.Cut(rest[size:], []byte{'\n'}); len(bytes.Trim(line, blank)) > 0 {
			d.note("a chunk of the body is longer or shorter than it says")
		}
	}
}
