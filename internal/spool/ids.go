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

// ids holds the ids of records in short lists, by their first bits. An id takes 20 bytes. In a map it
// could take 41, even after it is removed.
type ids struct {
	lists  [][]id
	unsure map[id]bool // ids of which no record is known to be durable
}

// idLists is the number of lists. Empty ones take 400 KB, so they are made with the first id.
const idLists = 1 << 14

func listOf(x id) uint16 { return binary.BigEndian.Uint16(x[:]) >> 2 }

func (s *ids) has(x id) bool { return s.lists != nil && slices.Contains(s.lists[listOf(x)], x) }

// hasDurable reports whether a record with that id is durable. Another one is a copy of it.
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

// doubt notes that the records with an id may not be durable after all.
func (s *ids) doubt(x id) { s.unsure[x] = true }

// remove removes x once. If it was there twice, the record that stays may be the one that isn't durable.
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
