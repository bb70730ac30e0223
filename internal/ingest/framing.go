package ingest

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	// maxHeadBytes and maxHeaders bound a request's head, and its trailer, while they arrive. The
	// number is bounded too, because a header of four bytes costs net/http a hundred.
	maxHeadBytes = 8 << 10
	maxHeaders   = 100
	// maxChunkLine bounds the line of a chunk: its length and its extensions.
	maxChunkLine = 1 << 10

	lengthHeader   = "Content-Length:"
	encodingHeader = "Transfer-Encoding:"
)

// part is the part of a request that comes next.
type part uint8

const (
	partHead part = iota
	partBody
	partChunkLine // the length of a chunk, and its extensions
	partChunk     // with the line break behind it
	partTrailer
	partBroken // closed, or not HTTP: there is no way to find the next request
)

// framing finds where each request on a connection begins and ends. So each is counted from its first
// byte, even if that arrives with the end of the request before. framing looks only for line breaks and
// lengths (RFC 9112, sections 2.1, 6 and 7.1); [framing.begin] gives it the length of a body. net/http
// judges everything else, and closes the connection after a body with malformed chunks. If framing and
// net/http find different ends, the connection ends.
type framing struct {
	part  part
	left  int64 // bytes left of the body or the chunk
	bytes int   // bytes so far of the head, the trailer or the chunk's line
	lines int   // lines so far of the head or the trailer

	line                 int                       // bytes so far of the current line
	start                [len(encodingHeader)]byte // the first bytes of the line
	cr                   bool                      // so far, the line ends with a carriage return
	hasLength, hasCoding bool                      // the head has these headers, or others may find them there
}

// begin sets the length of the body that follows the last head; a negative one means chunks. It reports
// whether every reader finds that length. Some go by a Content-Length beside a Transfer-Encoding, or by a
// Transfer-Encoding in HTTP/1.0, and net/http ignores both (RFC 9112, section 6.1). Some divide the head into
// other headers, if a line ends with a bare line feed or continues the one before (sections 2.2 and 5.2).
func (f *framing) begin(length int64) (isClear bool) {
	isClear = !f.hasCoding || !f.hasLength && length < 0
	f.hasLength, f.hasCoding = false, false
	switch {
	case length == 0:
	case f.part != partHead || f.bytes > 0: // some bytes of the body were taken for the next request
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
		case partBroken:
			return n, "" // the request never ends
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
		default:
			used, isWhole := f.readLine(b[n:])
			n += used
			switch {
			case f.bytes > maxHeadBytes:
				return n, HeadTooLarge
			case f.part == partChunkLine && f.bytes > maxChunkLine:
				f.part = partBroken
			case isWhole && f.endLine():
				return n, ""
			case f.lines > maxHeaders+1:
				return n, TooManyHeaders
			}
		}
	}
	return n, ""
}

// readLine takes the bytes up to the next line break, and reports whether there is one.
func (f *framing) readLine(b []byte) (n int, isWhole bool) {
	line, _, isWhole := bytes.Cut(b, []byte{'\n'})
	if n = len(line); n > 0 {
		copy(f.start[min(f.line, len(f.start)):], line)
		f.line += n
		f.cr = line[n-1] == '\r'
	}
	if isWhole {
		n++
	}
	f.bytes += n
	return n, isWhole
}

// endLine handles a whole line, and reports whether the head or the trailer ends with it. An empty line
// before a request's first line counts as a head: net/http passes over it or refuses it (RFC 9112,
// section 2.2). In a trailer a bare line feed ends the connection: net/http (body.readTrailer) would look
// for a line break with a carriage return in the next request.
func (f *framing) endLine() (ended bool) {
	if f.part == partHead && (!f.cr || f.start[0] == ' ' || f.start[0] == '\t') {
		f.hasLength, f.hasCoding = true, true
	}
	switch {
	case f.part == partChunkLine:
		f.beginChunk()
		return false
	case f.part == partTrailer && !f.cr:
		f.part = partBroken
	case f.line == 0 || f.line == 1 && f.cr:
		*f = framing{hasLength: f.hasLength, hasCoding: f.hasCoding}
		return true
	case f.part == partHead:
		f.hasLength = f.hasLength || f.lineIs(lengthHeader)
		f.hasCoding = f.hasCoding || f.lineIs(encodingHeader)
	}
	f.lines++
	f.line, f.cr = 0, false
	return false
}

// lineIs reports whether the line is that header.
func (f *framing) lineIs(header string) bool {
	end := len(header) - 1
	return f.line > end && f.start[end] == ':' && strings.EqualFold(string(f.start[:end]), header[:end])
}

// beginChunk reads the length of a chunk from the line.
func (f *framing) beginChunk() {
	start := f.start[:min(f.line, len(f.start))]
	digits := len(start) - len(bytes.TrimLeft(start, "0123456789abcdefABCDEF"))
	length, err := strconv.ParseInt(string(start[:digits]), 16, 62)
	switch {
	case err != nil || digits == len(f.start): // net/http takes at most 16 digits
		f.part = partBroken
	case length == 0:
		*f = framing{part: partTrailer, lines: 1} // as if it had a request line
	default:
		*f = framing{part: partChunk, left: length + 2}
	}
}
