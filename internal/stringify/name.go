package stringify

import (
	"bytes"
	"hash/maphash"
	"math"
	"math/bits"
)

// notIndex is the position of a name that isn't an array index. It sorts after all indices.
const notIndex = math.MaxUint32

// arrayIndex returns the name as an array index: a canonical decimal in 0 … 2³²−2 (ECMA-262,
// section 6.1.7), or notIndex.
func arrayIndex(name []byte) uint32 {
	if len(name) == 0 || len(name) > 10 || name[0] == '0' && len(name) > 1 {
		return notIndex
	}
	n := uint64(0)
	for _, c := range name {
		if c < '0' || c > '9' {
			return notIndex
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(min(n, notIndex))
}

// handful is the largest number of members that are compared without a hash table.
const handful = 8

// markOf returns one bit that depends on the name.
func markOf(name []byte) uint64 {
	n := len(name)
	if n > 0 {
		n += int(name[0])*3 + int(name[n-1])*5
	}
	return 1 << (n & 63)
}

// seed differs between processes, so that nobody can prepare colliding names.
var seed = maphash.MakeSeed()

// duplicated reports whether two members have the same decoded name: "a" and "\u0061" are one.
func (s *scanner) duplicated(own []member) bool {
	if len(own) <= handful { // a name with a new mark needs no comparison
		marks := uint64(0)
		for i, a := range own {
			name := s.nameOf(a)
			mark := markOf(name)
			if marks&mark != 0 {
				for _, b := range own[:i] {
					if a.nameLen == b.nameLen && bytes.Equal(name, s.nameOf(b)) {
						return true
					}
				}
			}
			marks |= mark
		}
		return false
	}
	size := 1 << bits.Len(uint(len(own)*2))
	if cap(s.table) < size {
		s.table = make([]uint32, size)
	}
	table := s.table[:size] // open addressing; 0 is free, else 1 + the member's number
	clear(table)
	for i, m := range own {
		name := s.nameOf(m)
		slot := int(maphash.Bytes(seed, name)) & (size - 1)
		for table[slot] != 0 {
			if bytes.Equal(s.nameOf(own[table[slot]-1]), name) {
				return true
			}
			slot = (slot + 1) & (size - 1)
		}
		table[slot] = uint32(i + 1)
	}
	return false
}
