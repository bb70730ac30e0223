package diagnosis

import (
	"bytes"
	"regexp"
	"strings"
)

// requestLine is the first line of a request. What stands before it in its line may be anything: tcpdump
// shows the headers of the packet there.
var requestLine = regexp.MustCompile(`(?m)(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([!-~]+) HTTP/([0-9](?:\.[0-9])?)[ \t\r]*$`)

// lineReader reads line by line what follows the request line.
type lineReader struct {
	rest     []byte
	prefix   []byte // what stood before the request line
	prefixed bool   // and stands before the other lines
	curl     bool   // the prefix is curl's, whose other lines begin otherwise
}

// after returns what follows the line's end.
func after(src []byte) []byte {
	_, rest, _ := bytes.Cut(src, []byte{'\n'})
	return rest
}

// next returns the next line without its end and its prefix; ok is false where there is none.
func (l *lineReader) next() (line []byte, ok bool) {
	if len(l.rest) == 0 {
		return nil, false
	}
	line, l.rest, _ = bytes.Cut(l.rest, []byte{'\n'})
	return bytes.TrimRight(l.strip(line), "\r"), true
}

func (l *lineReader) strip(line []byte) []byte {
	if !l.prefixed {
		return line
	}
	if rest, ok := bytes.CutPrefix(line, l.prefix); ok {
		return rest
	}
	if short := bytes.TrimRight(l.prefix, " "); bytes.Equal(bytes.TrimRight(line, " \r"), short) {
		return nil
	}
	return line
}

// token is what the name of a header is made of (RFC 9110, 5.6.2).
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// readHeader reads the headers up to the empty line.
func (d *Delivery) readHeader(lines *lineReader) {
	var folded []string // the lines by which the last header goes on
	defer func() { d.unfold(folded) }()
	for {
		before := lines.rest
		line, ok := lines.next()
		switch {
		case !ok || len(bytes.Trim(line, " \t")) == 0:
			return
		case lines.curl && (bytes.HasPrefix(line, []byte("* ")) || bytes.HasPrefix(line, []byte("< "))):
			continue
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
		if name, value, ok := strings.Cut(string(line), ":"); ok { // with a bad name it is refused, not passed over
			d.Header = append(d.Header, Field{strings.TrimLeft(name, blank), strings.Trim(value, blank)})
		} else {
			d.note("a line among the headers is none, and was passed over")
		}
	}
}

// unfold adds the lines by which the last header goes on to its value (RFC 9112, 5.2).
func (d *Delivery) unfold(lines []string) {
	if len(lines) > 0 {
		last := &d.Header[len(d.Header)-1]
		last.Value = strings.Trim(last.Value+" "+strings.Join(lines, " "), blank)
	}
}

// blank is what may stand around a header's value (RFC 9110, 5.5), and line ends that came with it.
const blank = " \t\r"

// AddHeader adds a header that is written as in a request: Name: value. It reports whether it is one.
func (d *Delivery) AddHeader(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !token.MatchString(name) || strings.Contains(value, "\n") {
		return false
	}
	d.Header = append(d.Header, Field{name, strings.Trim(value, blank)})
	return true
}

// ParseHeader reads headers alone, with or without the request line over them.
func ParseHeader(src []byte) (Delivery, error) {
	var d Delivery
	src = bytes.TrimLeft(bytes.TrimPrefix(d.decodeUTF16(src), byteOrderMark), "\r\n")
	if requestLine.Match(src) {
		whole, err := Parse(src)
		whole.Body = nil
		return whole, err
	}
	d.readHeader(&lineReader{rest: src})
	if len(d.Header) == 0 {
		return Delivery{}, ErrNoHeader
	}
	return d, nil
}
