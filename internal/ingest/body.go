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
	blocks [][]byte  // all full, except the last
	first  [1][]byte // room for the usual number of blocks
	spare  []byte    // the block of an earlier body
	len    int       // bytes that have arrived
}

// room returns a buffer for the next bytes; it is never empty. The first one is hardly larger than the
// announced body, or a spare one.
func (b *body) room(announced int64) []byte {
	last := len(b.blocks) - 1
	if last < 0 || len(b.blocks[last]) == cap(b.blocks[last]) {
		size := blockBytes
		if last < 0 && announced >= 0 {
			// At least one byte more than announced, for the read that finds the end.
			size = int(min((announced/spareStep+1)*spareStep, blockBytes))
		}
		if last < 0 {
			b.blocks = b.first[:0]
		}
		block := b.spare
		if last >= 0 || cap(block) < size {
			block = make([]byte, 0, size)
		}
		b.blocks = append(b.blocks, block)
		last++
	}
	block := b.blocks[last]
	return block[len(block):cap(block)]
}

// advance notes that n bytes were read into the room.
func (b *body) advance(n int) {
	last := &b.blocks[len(b.blocks)-1]
	*last = (*last)[:len(*last)+n]
	b.len += n
}

// joined returns the body in one piece and drops the blocks. It copies a body of several blocks. The
// result is valid until the next body, unless spare is set to nil.
func (b *body) joined() []byte {
	blocks := b.blocks
	b.blocks = nil
	b.spare = nil
	if len(blocks) == 1 {
		if cap(blocks[0]) <= spareBytes {
			b.spare = blocks[0][:0]
		}
		return blocks[0]
	}
	return bytes.Join(blocks, nil)
}
