package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// id identifies a record: a hash of its kind and its message's id.
type id [16]byte

func idOf(kind publish.Kind, messageID string) id {
	var b [64]byte // on the stack, for ids of the usual length
	sum := sha256.Sum256(append(append(b[:0], byte(kind)), messageID...))
	return id(sum[:16])
}

// ids has the id of each record, in short lists by their first bits. An id takes 20 bytes. In a map it
// may take 41, even after it is removed.
type ids [][]id

// idLists is the number of lists. They take 400 KB, so the set has none until it is used.
const idLists = 1 << 14

func listOf(x id) uint16 { return binary.BigEndian.Uint16(x[:]) >> 2 }

func (s ids) has(x id) bool { return s != nil && slices.Contains(s[listOf(x)], x) }

// add adds x, even if it is there already.
func (s *ids) add(x id) {
	if *s == nil {
		*s = make(ids, idLists)
	}
	list := (*s)[listOf(x)]
	if n := len(list); n == cap(list) { // append would double it
		list = append(make([]id, 0, n+n/8+1), list...)
	}
	(*s)[listOf(x)] = append(list, x)
}

// remove removes x once.
func (s ids) remove(x id) {
	if s == nil {
		return
	}
	list := s[listOf(x)]
	i := slices.Index(list, x)
	if i < 0 {
		return
	}
	list[i] = list[len(list)-1]
	if list = list[:len(list)-1]; len(list) < cap(list)/2 {
		list = slices.Clone(list)
	}
	s[listOf(x)] = list
}
