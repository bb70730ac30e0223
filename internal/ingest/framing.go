package ingest

import (
	"bytes"
	"math"
)

const (
	// maxHeadBytes and maxHeaders bound the head of a request, and the trailers of one, while they come. A header of
	// four bytes costs net/http a hundred: what counts is their number.
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

// framing follows the requests that come over a connection, so that each is counted from its first byte: what came with
// the end of another one must not escape. It looks for line breaks and lengths only (RFC 9112, sections 2.1, 6 and 7.1);
// how long a body is it is told by [framing.begin]. Where it is mistaken, the connection ends.
type framing struct {
	part  part
	left  int64 // of the body, or of the chunk
	bytes int   // of the head, the trailer or the chunk's line
	lines int   // of the head or the trailer
	text  bool  // the line has more in it than a carriage return
	cr    bool  // the line begins with one
	hex   int   // digits of the chunk's length
}

// begin sets how the body is framed whose head came last: by its length, or in chunks where that is negative.
func (f *framing) begin(length int64) {
	switch {
	case length == 0:
	case f.part != partHead || f.bytes > 0: // taken for the next request already
		f.part = partBroken
	case length < 0:
		*f = framing{part: partChunkLine}
	default:
		*f = framing{part: partBody, left: length}
	}
}

// inHead reports whether a head has begun and isn't whole.
func (f *framing) inHead() bool { return f.part == partHead && f.bytes > 0 }

// advance returns how many of the bytes belong to the request that is coming, or to its head where that ends there. It
// returns a ConnRefusal other than "" where the head or the trailer is larger than allowed.
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

// line takes the bytes up to the next line break. It reports whether the head, or the trailer, ends there. Empty lines
// before a request's first one don't end it (RFC 9112, section 2.2).
func (f *framing) line(b []byte) (n int, ended bool) {
	line, _, whole := bytes.Cut(b, []byte{'\n'})
	if len(line) > 0 {
		f.text = f.text || f.cr || len(line) > 1 || line[0] != '\r'
		f.cr = !f.text
	}
	n = len(line)
	if whole {
		n++
	}
	f.bytes += n
	if !whole {
		return n, false
	}
	isEmpty := !f.text
	f.text, f.cr = false, false
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
	case digit >= 0 && c != ' ':
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
