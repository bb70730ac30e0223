package diagnosis

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Delivery is a request as far as its capture shows it: as it is on the wire, or as curl, tcpdump or a proxy's log
// shows it; or a JSON body alone. Reading one judges nothing, and holds a few times of what it is given at most.
type Delivery struct {
	Method string // "" where the capture has no request line
	Target string // as the request line has it
	Header []Field
	Body   []byte
	ASCII  bool     // bytes that aren't ASCII are shown as dots
	Notes  []string // what was done to read it, and what of it may not be as it was sent
}

// Field is one line of the headers, its name as it was written.
type Field struct{ Name, Value string }

// Values returns every value of the header of that name, in any case of letters.
func (d *Delivery) Values(name string) (values []string) {
	for _, f := range d.Header {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// note notes what was done, once.
func (d *Delivery) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(d.Notes, text) {
		d.Notes = append(d.Notes, text)
	}
}

// ErrNoDelivery is the error of a text in which there is no delivery.
var ErrNoDelivery = errors.New("neither an HTTP request, with a line such as POST /webhooks/… HTTP/1.1 and the headers and the body below it, nor a JSON body")

// Parse reads a capture. Whatever begins with a brace is a body.
func Parse(src []byte) (Delivery, error) {
	var d Delivery
	src = d.decodeUTF16(src)
	if begins := bytes.TrimLeft(bytes.TrimPrefix(src, byteOrderMark), " \t\r\n"); len(begins) > 0 && begins[0] == '{' {
		d.Body = src
		return d, nil
	}
	src = d.joinTrace(d.joinPackets(src))
	at := requestLine.FindSubmatchIndex(src)
	if at == nil {
		return Delivery{}, ErrNoDelivery
	}
	d.Method, d.Target = string(src[at[2]:at[3]]), string(src[at[4]:at[5]])
	prefix := src[bytes.LastIndexByte(src[:at[0]], '\n')+1 : at[0]]
	lines := lineReader{rest: after(src[at[1]:]), prefix: prefix}
	lines.prefixed = len(prefix) > 0 && bytes.HasPrefix(lines.rest, bytes.TrimRight(prefix, " "))
	lines.curl = lines.prefixed && string(prefix) == "> "
	d.readHeader(&lines)
	d.readBody(&lines)
	if requestLine.Match(lines.rest) {
		d.note("there is more than one request in it; this is the first")
	}
	return d, nil
}

// byteOrderMark is U+FEFF in UTF-8.
var byteOrderMark = []byte("\ufeff")

// decodeUTF16 turns what PowerShell's > writes into what was printed.
func (d *Delivery) decodeUTF16(src []byte) []byte {
	if !bytes.HasPrefix(src, []byte{0xff, 0xfe}) {
		return src
	}
	units := make([]uint16, 0, len(src)/2)
	for i := 2; i+1 < len(src); i += 2 {
		units = append(units, uint16(src[i])|uint16(src[i+1])<<8)
	}
	d.note("the file is UTF-16, as PowerShell writes it, and was read as that")
	return []byte(string(utf16.Decode(units)))
}

// Append writes the delivery as a request on the wire, with the length of the body that it has.
func (d *Delivery) Append(to []byte) []byte {
	to = fmt.Appendf(to, "%s %s HTTP/1.1\r\n", d.Method, d.Target)
	for _, f := range d.Header {
		if !strings.EqualFold(f.Name, "Content-Length") && !strings.EqualFold(f.Name, "Transfer-Encoding") {
			to = fmt.Appendf(to, "%s: %s\r\n", f.Name, f.Value)
		}
	}
	to = fmt.Appendf(to, "Content-Length: %d\r\n\r\n", len(d.Body))
	return append(to, d.Body...)
}
