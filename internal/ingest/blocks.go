package ingest

import "sync"

const (
	firstBytes = 2 << 10 // most bodies are shorter
	blockBytes = 4 << 10
)

// blocks is a body that is coming. It holds little more than what came: a slice that doubles would hold up to three
// times that while it grows, and senders that stop at the wrong moment would make a lie of the budget.
type blocks struct {
	first *[firstBytes]byte
	more  []*block
	len   int // bytes that came
}

type block [blockBytes]byte

// spare are blocks of bodies that are whole or gone, firsts the first ones of those that are done with.
var (
	spare  = sync.Pool{New: func() any { return new(block) }}
	firsts = sync.Pool{New: func() any { return new([firstBytes]byte) }}
)

// room is where the next bytes go. It is never empty.
func (b *blocks) room() []byte {
	if b.first == nil {
		b.first = firsts.Get().(*[firstBytes]byte)
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
	whole := append(make([]byte, 0, b.len), b.first[:]...)
	for _, block := range b.more {
		whole = append(whole, block[:min(blockBytes, b.len-len(whole))]...)
	}
	return whole
}

// free lets others have the blocks, but for the first one: what joined has returned stays.
func (b *blocks) free() {
	for _, block := range b.more {
		spare.Put(block)
	}
	b.more = nil
}

// done lets others have the first one too. Nothing has what joined has returned any more.
func (b *blocks) done() {
	if b.first != nil {
		firsts.Put(b.first)
		b.first = nil
	}
}
