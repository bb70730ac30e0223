package stringify

import (
	"bytes"
	"hash/maphash"
	"math"
	"math/bits"
)

// notIndex stands for a name that isn't an array index; it sorts after all that are.
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

// handful is how many members are compared with each other.
const handful = 8

// markOf returns one bit, the same for the same name and seldom for another one.
func markOf(name []byte) uint64 {
	n := len(name)
	if n > 0 {
		n += int(name[0])*3 + int(name[n-1])*5
	}
	return 1 << (n & 63)
}

// seed differs from process to process, so that nobody can prepare names that collide.
var seed = maphash.MakeSeed()

// duplicated reports whether two members bear the same name, compared as they read, not as they are
// written ("a" and "\u0061" are one name).
func (s *scanner) duplicated(own []member) bool {
	if len(own) <= handful { // no hashing: a name that has no other's mark is compared with none
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
	table := s.table[:size] // open addressing; 0 is free, otherwise 1 + the member's number
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
