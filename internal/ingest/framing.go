package ingest

import (
	"bytes"
	"math"
	"strings"
)

const (
	// maxHeadBytes and maxHeaders bound a request's head, and its trailer, while they arrive. A
	// header of four bytes costs net/http a hundred, so their number is bounded too.
	maxHeadBytes = 8 << 10
	maxHeaders   = 100
	// maxChunkLine bounds a chunk's length with its extensions.
	maxChunkLine = 1 << 10

	lengthHeader   = "Content-Length:"
	encodingHeader = "Transfer-Encoding:"
)

// part is the part of a request that comes next.
type part uint8

const (
	partHead part = iota
	partBody
	partChunkLine
	partChunk // with the line break behind it
	partTrailer
	partBroken // closed, or not HTTP: there is no way to find the next request
)

// framing finds where each request on a connection begins and ends, so that each is counted from
// its first byte, even if that arrives with the end of the request before. It looks for line breaks
// and lengths only (RFC 9112, sections 2.1, 6 and 7.1); [framing.begin] gives it the length of a body.
// net/http judges all the rest, and closes the connection after a body with malformed chunks.
// If framing finds another end than net/http, the connection ends.
type framing struct {
	part  part
	left  int64 // bytes left of the body or the chunk; on a chunk's line its length so far
	bytes int   // bytes so far of the head, the trailer or the chunk's line
	lines int   // lines so far of the head or the trailer
	line  int   // bytes so far of the line
	cr    bool  // so far, the line ends with a carriage return
	extra bool  // the chunk's length has ended, and its extensions follow

	start                [len(encodingHeader)]byte // the first bytes of the line
	hasLength, hasCoding bool                      // the head has these headers
}

// begin sets the length of the body that follows the last head; negative: it comes in chunks. It reports
// whether the head leaves no doubt about that: another reader may take a Content-Length beside a
// Transfer-Encoding, or a Transfer-Encoding in HTTP/1.0, where net/http ignores it (RFC 9112, section 6.1).
func (f *framing) begin(length int64) (isClear bool) {
	isClear = !f.hasCoding || !f.hasLength && length < 0
	f.hasLength, f.hasCoding = false, false
	switch {
	case length == 0:
	case f.part != partHead || f.bytes > 0: // some of the body was taken for the next request
		f.part = partBroken
	case length < 0:
		*f = framing{part: partChunkLine}
	default:
		*f = framing{part: partBody, left: length}
	}
	return isClear
}

// inHead reports whether part of a head has arrived.
func (f *framing) inHead() bool { return f.part == partHead && f.bytes > 0 }

// advance returns how many of the bytes belong to the current request, and stops at the end of its
// head. It returns a refusal if the head or the trailer is too large.
func (f *framing) advance(b []byte) (n int, refusal ConnRefusal) {
	for n < len(b) {
		switch f.part {
		case partHead, partTrailer:
			used, ended := f.headLine(b[n:])
			n += used
			switch {
			case f.bytes > maxHeadBytes:
				return n, HeadTooLarge
			case f.lines > maxHeaders+1 || f.part == partTrailer && f.lines > maxHeaders:
				return n, TooManyHeaders
			case ended:
				*f = framing{hasLength: f.hasLength, hasCoding: f.hasCoding}
				return n, ""
			}
		case partBody, partChunk:
			used := min(f.left, int64(len(b)-n))
			n += int(used)
			f.left -= used
			switch {
			case f.left > 0:
			case f.part == partChunk:
				*f = framing{part: partChunkLine}
			default:
				*f = framing{}
				return n, ""
			}
		case partChunkLine:
			f.chunkLine(b[n])
			n++
		case partBroken:
			return n, "" // the request never ends
		}
	}
	return n, ""
}

// headLine takes the bytes up to the next line break, and reports whether the head or the trailer ends
// there. An empty line before a request's first line counts as a head: net/http passes over it or
// refuses it (RFC 9112, section 2.2). In a trailer a bare line feed ends the connection: net/http
// (body.readTrailer) would look for a line break with a carriage return in the next request.
func (f *framing) headLine(b []byte) (n int, ended bool) {
	line, _, whole := bytes.Cut(b, []byte{'\n'})
	n = len(line)
	if n > 0 {
		copy(f.start[min(f.line, len(f.start)):], line)
		f.line += n
		f.cr = line[n-1] == '\r'
	}
	f.bytes += n
	if !whole {
		return n, false
	}
	isEmpty, isBare := f.line == 0 || f.line == 1 && f.cr, !f.cr
	f.hasLength = f.hasLength || f.lineIs(lengthHeader)
	f.hasCoding = f.hasCoding || f.lineIs(encodingHeader)
	f.bytes, f.line, f.cr = f.bytes+1, 0, false
	switch {
	case f.part == partTrailer && isBare:
		f.part = partBroken
	case isEmpty:
		ended = true
	default:
		f.lines++
	}
	return n + 1, ended
}

// lineIs reports whether the line is that header of the head.
func (f *framing) lineIs(header string) bool {
	end := len(header) - 1
	return f.part == partHead && f.line > end && f.start[end] == ':' && strings.EqualFold(string(f.start[:end]), header[:end])
}

// chunkLine takes the next byte of a chunk's length, its extensions and their line break.
func (f *framing) chunkLine(c byte) {
	f.bytes++
	digit := int64(bytes.IndexByte([]byte("0123456789abcdef"), c|0x20))
	f.extra = f.extra || digit < 0
	if !f.extra {
		f.left = f.left<<4 | digit
	}
	switch {
	case f.bytes > maxChunkLine || f.left > math.MaxInt64>>5:
		f.part = partBroken
	case c != '\n':
	case f.left == 0:
		*f = framing{part: partTrailer}
	default:
		*f = framing{part: partChunk, left: f.left + 2}
	}
}
