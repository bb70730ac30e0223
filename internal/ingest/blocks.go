package ingest

import "sync"

const (
	firstBytes = 2 << 10 // most bodies are shorter
	blockBytes = 4 << 10
	longBytes  = 16 << 10 // of a block once four times as much has come: fewer reads, and no more than a quarter is empty
)

// blocks is a body that is coming. It holds little more than what came: a slice that doubles would hold up to three
// times that while it grows, and senders that stop at the wrong moment would make a lie of the budget.
type blocks struct {
	first *[firstBytes]byte
	more  [][]byte // full, but for the last one
	len   int      // bytes that came
}

// spare are blocks of bodies that are whole or gone, firsts the first ones of those that are done with.
var (
	firsts = sync.Pool{New: func() any { return new([firstBytes]byte) }}
	spare  = sync.Pool{New: func() any { return new([blockBytes]byte) }}
	longs  = sync.Pool{New: func() any { return new([longBytes]byte) }}
)

// room is where the next bytes go. It is never empty.
func (b *blocks) room() []byte {
	if b.first == nil {
		b.first = firsts.Get().(*[firstBytes]byte)
	}
	if b.len < firstBytes {
		return b.first[b.len:]
	}
	last := len(b.more) - 1
	if last < 0 || len(b.more[last]) == cap(b.more[last]) {
		last++
		if b.len < 4*longBytes {
			b.more = append(b.more, spare.Get().(*[blockBytes]byte)[:0])
		} else {
			b.more = append(b.more, longs.Get().(*[longBytes]byte)[:0])
		}
	}
	block := b.more[last]
	return block[len(block):cap(block)]
}

// came notes that n bytes came into the room.
func (b *blocks) came(n int) {
	if b.len >= firstBytes {
		last := &b.more[len(b.more)-1]
		*last = (*last)[:len(*last)+n]
	}
	b.len += n
}

// joined is the body in one piece. Unless it is short that is a copy.
func (b *blocks) joined() []byte {
	if b.len <= firstBytes {
		return b.first[:b.len]
	}
	whole := append(make([]byte, 0, b.len), b.first[:]...)
	for _, block := range b.more {
		whole = append(whole, block...)
	}
	return whole
}

// free lets others have the blocks, but for the first one: what joined has returned stays.
func (b *blocks) free() {
	for _, block := range b.more {
		if cap(block) == longBytes {
			longs.Put((*[longBytes]byte)(block[:longBytes]))
		} else {
			reuse(block)
		}
	}
	b.more = nil
}

// roomFor returns room for so many bytes of an envelope: a block, where that is enough, which is to be used again.
func roomFor(size int) (room []byte, lent bool) {
	if size > blockBytes {
		return make([]byte, 0, size), false
	}
	return spare.Get().(*[blockBytes]byte)[:0], true
}

// reuse lets others have that block. Nobody has any part of it any more.
func reuse(block []byte) { spare.Put((*[blockBytes]byte)(block[:blockBytes])) }

// done lets others have the first one too. Nothing has what joined has returned any more.
func (b *blocks) done() {
	if b.first != nil {
		firsts.Put(b.first)
		b.first = nil
	}
}
