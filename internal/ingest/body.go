package ingest

// blockBytes is the size of a block. Most bodies are shorter.
const blockBytes = 8 << 10

// body collects an arriving body in blocks, and takes little more memory than the bytes that have
// arrived. A slice that doubles takes up to three times that while it grows, and the budget doesn't
// count that.
type body struct {
	blocks [][]byte  // all full, except the last
	first  [1][]byte // room for the usual number of blocks
	len    int       // bytes that have arrived
}

// room returns a buffer for the next bytes; it is never empty. The first is at most one byte larger
// than announced.
func (b *body) room(announced int64) []byte {
	last := len(b.blocks) - 1
	if last < 0 || len(b.blocks[last]) == cap(b.blocks[last]) {
		size := blockBytes
		if last < 0 && announced >= 0 {
			size = int(min(announced+1, blockBytes)) // one more for the read that finds the end
		}
		if last < 0 {
			b.blocks = b.first[:0]
		}
		b.blocks = append(b.blocks, make([]byte, 0, size))
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

// joined returns the body in one piece and drops the blocks. It copies a body of several blocks.
func (b *body) joined() []byte {
	blocks := b.blocks
	b.blocks = nil
	if len(blocks) == 1 {
		return blocks[0]
	}
	whole := make([]byte, 0, b.len)
	for _, block := range blocks {
		whole = append(whole, block...)
	}
	return whole
}
