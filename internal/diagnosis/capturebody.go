package diagnosis

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// ErrNoHeader is the error of a text without a header.
var ErrNoHeader = errors.New("no headers, such as Content-Type: application/json, a line each")

// curlNoise matches what curl prints in place of data.
var curlNoise = regexp.MustCompile(`^[{}] \[\d+ bytes data\]\r?(?:\n|$)`)

// readBody reads the body: in chunks, of a length or to the end, as the headers have it.
func (d *Delivery) readBody(lines *lineReader) {
	if lines.prefixed {
		lines.rest = d.unprefixed(lines)
		lines.prefixed = false
	}
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
		d.note("Content-Length is no length")
	case length > len(rest):
		d.note("the body has %d bytes here, and by Content-Length %d: the capture is incomplete, or has other line ends", len(rest), length)
	default:
		d.Body, lines.rest = rest[:length], rest[length:]
		if len(bytes.TrimSpace(lines.rest)) > 0 {
			d.note("what follows the %d bytes of Content-Length is ignored", length)
		}
	}
}

// unprefixed returns the body's lines without their prefix. In curl's output it leaves out curl's
// own lines and the answer; if no body precedes the answer, it returns what follows it.
func (d *Delivery) unprefixed(lines *lineReader) []byte {
	body := make([]byte, 0, len(lines.rest))
	read := 0
	for line := range bytes.Lines(lines.rest) {
		if lines.curl && bytes.HasPrefix(line, []byte("< ")) {
			break
		}
		read += len(line)
		if !lines.curl || !isNoise(line) {
			body = append(body, lines.strip(line)...)
		}
	}
	if len(bytes.TrimSpace(body)) > 0 || read == len(lines.rest) {
		return body
	}
	for line := range bytes.Lines(behindAnswer(lines.rest[read:])) {
		if !isNoise(line) {
			body = append(body, line...)
		}
	}
	if body = bytes.TrimLeft(body, "\r\n"); len(body) > 0 {
		d.note("the body is what stands behind curl's answer")
	}
	return body
}

// isNoise reports whether a line is one of curl's own.
func isNoise(line []byte) bool {
	return bytes.HasPrefix(line, []byte("* ")) || curlNoise.Match(line)
}

// What curl prints for the length of an answer, and at the end of its headers.
var (
	answerLength = regexp.MustCompile(`(?mi)^< content-length: (\d+)\r?$`)
	answerEnd    = regexp.MustCompile(`(?m)^< ?\r?\n`)
)

// behindAnswer returns what follows an answer in curl's output, which begins with its first header.
// The answer's body is there, too, unless only the output of -v was kept.
func behindAnswer(text []byte) []byte {
	ends := answerEnd.FindAllIndex(text, -1)
	if ends == nil {
		return nil
	}
	head := ends[len(ends)-1][1] // the last answer's: 100 Continue may come before
	rest := text[head:]
	isQuiet := false // curl's own lines come first: the answer's body may be missing
	for first := rest; isNoise(first); first = rest {
		isQuiet, rest = true, after(rest)
	}
	length := -1
	if m := answerLength.FindSubmatch(text[:head]); m != nil {
		length, _ = strconv.Atoi(string(m[1])) // too large a number is no length
	}
	decoder := json.NewDecoder(bytes.NewReader(rest))
	var first json.RawMessage
	switch err := decoder.Decode(&first); {
	case err == nil && (len(first) == length || length < 0 && !isQuiet):
		return rest[decoder.InputOffset():]
	case err == nil:
		return rest
	case length >= 0 && length <= len(rest): // no JSON, a proxy's page
		return rest[length:]
	}
	return nil
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
			d.note("a chunk of the body has another length than it says")
		}
	}
}
