package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// id identifies a record: a hash of its kind and its message's id. It is never zero, except with a
// probability of 1 in 2^128.
type id [16]byte

func idOf(kind publish.Kind, messageID string) id {
	var b [64]byte // on the stack, for ids of the usual length
	sum := sha256.Sum256(append(append(b[:0], byte(kind)), messageID...))
	return id(sum[:16])
}

// ids is a set of ids. Of many it takes at most 24 bytes each; a Go map takes 50. It is a hash
// table with open addressing in 256 parts. Each part grows by about a fifth: so it is at least two
// thirds full once it is large, and growing takes little time.
type ids struct {
	parts [256]part
	n     int
}

type part struct {
	slots []id // zero: free
	n     int
}

func (s *ids) has(x id) bool {
	p := &s.parts[x[0]]
	return len(p.slots) > 0 && p.slots[p.find(x)] == x
}

// add adds x and reports whether it is new.
func (s *ids) add(x id) bool {
	p := &s.parts[x[0]]
	if (p.n+1)*8 > len(p.slots)*7 {
		p.resize(p.n + p.n*3/8 + 8)
	}
	i := p.find(x)
	if p.slots[i] == x {
		return false
	}
	p.slots[i] = x
	p.n++
	s.n++
	return true
}

// remove removes x, and moves ids behind it that would no longer be found (Knuth, volume 3, 6.4 R).
func (s *ids) remove(x id) {
	p := &s.parts[x[0]]
	if !s.has(x) {
		return
	}
	size := len(p.slots)
	gap := p.find(x)
	for i := (gap + 1) % size; p.slots[i] != (id{}); i = (i + 1) % size {
		if (i-p.home(p.slots[i])+size)%size >= (i-gap+size)%size {
			p.slots[gap] = p.slots[i]
			gap = i
		}
	}
	p.slots[gap] = id{}
	p.n--
	s.n--
	if p.n*3 < size && size > 64 {
		p.resize(p.n + p.n*3/8 + 8)
	}
}

// home returns the slot where the search for x begins.
func (p *part) home(x id) int {
	i, _ := bits.Mul64(binary.LittleEndian.Uint64(x[1:]), uint64(len(p.slots)))
	return int(i)
}

// find returns x's slot, or the free slot for it.
func (p *part) find(x id) int {
	i := p.home(x)
	for p.slots[i] != x && p.slots[i] != (id{}) {
		if i++; i == len(p.slots) {
			i = 0
		}
	}
	return i
}

func (p *part) resize(size int) {
	old := p.slots
	p.slots = make([]id, size)
	for _, x := range old {
		if x != (id{}) {
			p.slots[p.find(x)] = x
		}
	}
}
