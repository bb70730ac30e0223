package ingest

import (
	"bytes"
	"math"
)

const (
	// maxHeadBytes and maxHeaders bound a request's head, and its trailer, while they arrive. A
	// header of four bytes costs net/http a hundred, so their number is bounded too.
	maxHeadBytes = 8 << 10
	maxHeaders   = 100
	// maxChunkLine bounds a chunk's length with its extensions.
	maxChunkLine = 1 << 10
)

// part is the part of a request that comes next.
type part uint8

const (
	partHead part = iota
	partBody
	partChunkLine
	partChunk
	partChunkEnd // the line break behind a chunk
	partTrailer
	partBroken // not HTTP: there is no way to find the next request
)

// framing finds where each request on a connection begins and ends, so that each is counted from
// its first byte, even if that arrives with the end of the request before. It looks for line breaks
// and lengths only (RFC 9112, sections 2.1, 6 and 7.1); [framing.begin] gives it the length of a body.
// If it is mistaken, the connection ends.
type framing struct {
	part  part
	left  int64 // bytes left of the body or the chunk
	bytes int   // bytes so far of the head, the trailer or the chunk's line
	lines int   // lines so far of the head or the trailer
	text  bool  // the line isn't empty: it has more than a carriage return
	cr    bool  // so far, the line ends with one
	hex   int   // digits of the chunk's length
}

// begin sets the length of the body that follows the last head; negative: it comes in chunks.
func (f *framing) begin(length int64) {
	switch {
	case length == 0:
	case f.part != partHead || f.bytes > 0: // some of the body was taken for the next request
		f.part = partBroken
	case length < 0:
		*f = framing{part: partChunkLine}
	default:
		*f = framing{part: partBody, left: length}
	}
}

// inHead reports whether part of a head has arrived.
func (f *framing) inHead() bool { return f.part == partHead && f.bytes > 0 }

// advance returns how many of the bytes belong to the current request, and stops at the end of its
// head. It returns a refusal if the head or the trailer is too large.
func (f *framing) advance(b []byte) (n int, refusal ConnRefusal) {
	for n < len(b) {
		switch f.part {
		case partHead, partTrailer:
			used, ended := f.line(b[n:])
			n += used
			switch {
			case f.bytes > maxHeadBytes:
				return n, HeadTooLarge
			case f.lines > maxHeaders+1 || f.part == partTrailer && f.lines > maxHeaders:
				return n, TooManyHeaders
			case f.part == partBroken:
				return n, ""
			case ended:
				*f = framing{}
				return n, ""
			}
		case partBody, partChunk:
			used := int(min(f.left, int64(len(b)-n)))
			n += used
			if f.left -= int64(used); f.left > 0 {
				return n, ""
			}
			if f.part == partBody {
				*f = framing{}
				return n, ""
			}
			*f = framing{part: partChunkEnd, left: 2}
		case partChunkLine:
			f.chunkLine(b[n])
			n++
		case partChunkEnd:
			if b[n] != "\n\r"[f.left-1] {
				f.part = partBroken
				continue
			}
			n++
			if f.left--; f.left == 0 {
				*f = framing{part: partChunkLine}
			}
		case partBroken:
			return len(b), ""
		}
	}
	return n, ""
}

// line takes the bytes up to the next line break, and reports whether the head or the trailer ends
// there. Empty lines before a request's first line don't end its head (RFC 9112, section 2.2). In a
// trailer a bare line feed ends the connection: net/http would look for the end in the next request.
func (f *framing) line(b []byte) (n int, ended bool) {
	line, _, whole := bytes.Cut(b, []byte{'\n'})
	if len(line) > 0 {
		f.text = f.text || f.cr || len(line) > 1 || line[0] != '\r'
		f.cr = line[len(line)-1] == '\r'
	}
	n = len(line)
	if whole {
		n++
	}
	f.bytes += n
	if !whole {
		return n, false
	}
	isEmpty, isBare := !f.text, !f.cr
	f.text, f.cr = false, false
	if f.part == partTrailer && isBare {
		f.part = partBroken
		return n, false
	}
	if isEmpty {
		return n, f.lines > 0 || f.part == partTrailer
	}
	f.lines++
	return n, false
}

// chunkLine takes the next byte of a chunk's length, its extensions and their line break.
func (f *framing) chunkLine(c byte) {
	f.bytes++
	digit := int64(bytes.IndexByte([]byte("0123456789abcdef"), c|0x20))
	switch {
	case f.bytes > maxChunkLine || f.left > math.MaxInt64>>5:
		f.part = partBroken
	case f.text: // past the digits
	case digit >= 0:
		f.left = f.left<<4 | digit
		f.hex++
		return
	default:
		f.text = true
	}
	switch {
	case c != '\n' || f.part == partBroken:
	case f.hex == 0:
		f.part = partBroken
	case f.left == 0:
		*f = framing{part: partTrailer}
	default:
		*f = framing{part: partChunk, left: f.left}
	}
}
