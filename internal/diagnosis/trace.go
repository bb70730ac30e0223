package diagnosis

import (
	"bytes"
	"regexp"
	"strconv"
)

var (
	// sent matches what curl --trace-ascii prints over what it sends, section over anything.
	sent    = regexp.MustCompile(`(?m)^=> Send (?:header|data), (\d+) bytes \(0x[0-9a-f]+\)\r?$`)
	section = regexp.MustCompile(`^(=>|<=|==) `)
	// offset precedes each line of what is sent.
	offset = regexp.MustCompile(`^([0-9a-f]{4,}): `)
)

// joinTrace returns what curl --trace-ascii shows as sent. curl breaks lines after 64 characters
// and at line ends, which only the offsets count. Without such lines it returns src.
func (d *Delivery) joinTrace(src []byte) []byte {
	begin, request := sent.FindIndex(src), requestLine.FindIndex(src)
	if begin == nil || request == nil || request[0] < begin[0] {
		return src
	}
	var joined []byte
	sending, next, size := false, 0, 0
	lineEndBefore := func(at int) {
		if sending && next < at {
			joined = append(joined, "\r\n"...)
		}
	}
	for line := range bytes.Lines(src[begin[0]:]) {
		line = bytes.TrimRight(line, "\r\n")
		if section.Match(line) {
			lineEndBefore(size)
			m := sent.FindSubmatch(line)
			if sending, next, size = m != nil, 0, 0; sending {
				size, _ = strconv.Atoi(string(m[1])) // a number that is too large ends no line
			}
			continue
		}
		m := offset.FindSubmatch(line)
		if !sending || m == nil {
			continue
		}
		at, _ := strconv.ParseInt(string(m[1]), 16, 32)
		lineEndBefore(int(at))
		text := line[len(m[0]):]
		joined, next = append(joined, text...), int(at)+len(text)
	}
	lineEndBefore(size)
	d.ASCII = true
	d.note("read from curl --trace-ascii, which prints a dot for each byte that isn't ASCII")
	return joined
}
