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
type ids struct {
	lists  [][]id
	unsure map[id]bool // no record with that id is known to be durable
}

// idLists is the number of lists. They take 400 KB, so the set has none until it is used.
const idLists = 1 << 14

func listOf(x id) uint16 { return binary.BigEndian.Uint16(x[:]) >> 2 }

func (s *ids) has(x id) bool { return s.lists != nil && slices.Contains(s.lists[listOf(x)], x) }

// hasDurable reports whether there is a durable record, of which another one is a copy.
func (s *ids) hasDurable(x id) bool { return s.has(x) && !s.unsure[x] }

// add adds the id of a durable record, even if it is there already.
func (s *ids) add(x id) {
	if s.lists == nil {
		s.lists, s.unsure = make([][]id, idLists), make(map[id]bool)
	}
	delete(s.unsure, x)
	list := s.lists[listOf(x)]
	if n := len(list); n == cap(list) { // append would double it
		list = append(make([]id, 0, n+n/8+1), list...)
	}
	s.lists[listOf(x)] = append(list, x)
}

// doubt notes that a record may not be durable after all.
func (s *ids) doubt(x id) { s.unsure[x] = true }

// remove removes x once. If it was there twice, the one that stays may be the one that isn't durable.
func (s *ids) remove(x id) {
	if !s.has(x) {
		return
	}
	list := s.lists[listOf(x)]
	i := slices.Index(list, x)
	list[i] = list[len(list)-1]
	if list = list[:len(list)-1]; len(list) < cap(list)/2 {
		list = slices.Clone(list)
	}
	s.lists[listOf(x)] = list
	if delete(s.unsure, x); slices.Contains(list, x) {
		s.doubt(x)
	}
}
