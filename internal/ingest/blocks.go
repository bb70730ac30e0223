package ingest

import "sync"

const (
	firstBytes = 2 << 10 // most bodies are shorter
	blockBytes = 4 << 10
)

// blocks is a body that is coming. It holds little more than what came: a slice that doubles would hold up to three
// times that while it grows, and senders that stop at the wrong moment would make a lie of the budget.
type blocks struct {
	first []byte
	more  []*block
	len   int // bytes that came
}

type block [blockBytes]byte

// spare are blocks of bodies that are whole or gone.
var spare = sync.Pool{New: func() any { return new(block) }}

// room is where the next bytes go. It is never empty.
func (b *blocks) room() []byte {
	if b.first == nil {
		b.first = make([]byte, firstBytes)
	}
	if b.len < firstBytes {
		return b.first[b.len:]
	}
	at := b.len - firstBytes
	if at == len(b.more)*blockBytes {
		b.more = append(b.more, spare.Get().(*block))
	}
	return b.more[at/blockBytes][at%blockBytes:]
}

// joined is the body in one piece. Unless it is short that is a copy.
func (b *blocks) joined() []byte {
	if b.len <= firstBytes {
		return b.first[:b.len]
	}
	whole := append(make([]byte, 0, b.len), b.first...)
	for _, block := range b.more {
		whole = append(whole, block[:min(blockBytes, b.len-len(whole))]...)
	}
	return whole
}

// free lets others have the blocks. What joined has returned stays.
func (b *blocks) free() {
	for _, block := range b.more {
		spare.Put(block)
	}
	b.first, b.more = nil, nil
}
