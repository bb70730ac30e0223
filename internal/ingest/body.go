package ingest

// blockBytes is how much more room a body gets at a time. Most bodies are shorter.
const blockBytes = 8 << 10

// body is a body that is coming. It takes little more room than what came: a slice that doubles would hold up to three
// times that while it grows, and senders that stop at the wrong moment would make a lie of the budget.
type body struct {
	blocks [][]byte // full, but for the last one
	len    int      // bytes that came
}

// room returns where the next bytes go. It is never empty. The first room is no larger than what was announced.
func (b *body) room(announced int64) []byte {
	last := len(b.blocks) - 1
	if last < 0 || len(b.blocks[last]) == cap(b.blocks[last]) {
		size := blockBytes
		if last < 0 && announced >= 0 {
			size = int(min(announced+1, blockBytes)) // one more, for the read that finds the end
		}
		b.blocks = append(b.blocks, make([]byte, 0, size))
		last++
	}
	block := b.blocks[last]
	return block[len(block):cap(block)]
}

// came notes that n bytes came into the room.
func (b *body) came(n int) {
	last := &b.blocks[len(b.blocks)-1]
	*last = (*last)[:len(*last)+n]
	b.len += n
}

// joined returns the body in one piece, and drops the blocks. Unless it is short that is a copy.
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
