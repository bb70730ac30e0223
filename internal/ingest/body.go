package ingest

import "bytes"

const (
	// blockBytes is the size of a block. Most bodies are shorter.
	blockBytes = 8 << 10
	// spareBytes is the size of the largest block that is used again: a sender can't make the bridge
	// keep more. Sizes are multiples of spareStep, so that most blocks fit the next body.
	spareBytes = 2 << 10
	spareStep  = 1 << 10
)

// body collects an arriving body in blocks, and takes little more memory than the bytes that have
// arrived. A slice that doubles takes up to three times that while it grows, and the budget doesn't
// count that.
type body struct {
	full  [][]byte // the blocks before the last one
	block []byte   // the last one; before the first byte, that of an earlier body
	len   int      // bytes that have arrived
}

// room returns a buffer for the next bytes; it is never empty. The first one is hardly larger than the
// announced body, or that of an earlier body.
func (b *body) room(announced int64) []byte {
	switch {
	case b.len == 0:
		size := blockBytes
		if announced >= 0 {
			// At least one byte more than announced, for the read that finds the end.
			size = int(min((announced/spareStep+1)*spareStep, blockBytes))
		}
		if cap(b.block) < size {
			b.block = make([]byte, 0, size)
		}
	case len(b.block) == cap(b.block):
		b.full = append(b.full, b.block)
		b.block = make([]byte, 0, blockBytes)
	}
	return b.block[len(b.block):cap(b.block)]
}

// advance notes that n bytes were read into the room.
func (b *body) advance(n int) {
	b.block = b.block[:len(b.block)+n]
	b.len += n
}

// joined returns the body in one piece. It copies a body of several blocks, and drops them. The result
// is valid until reset.
func (b *body) joined() []byte {
	if len(b.full) == 0 {
		return b.block
	}
	whole := bytes.Join(append(b.full, b.block), nil)
	b.full, b.block = nil, nil
	return whole
}

// reset empties the body. It keeps the block if it is small.
func (b *body) reset() {
	if cap(b.block) > spareBytes {
		b.block = nil
	}
	*b = body{block: b.block[:0]}
}
