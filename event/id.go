package event

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// ID returns the id of an event: the first 16 bytes of SHA-256(endpoint ‖ 0x00 ‖ signed text), in
// hexadecimal, the same for every delivery of the same event. The signed text is given in the parts
// of which it is the concatenation.
//
// name is nil where the signed text itself says what happened. Otherwise ‖ 0x00 ‖ name follows: the
// event's name as it stands in the canonical body, escapes included, without its quotes.
func ID(endpoint string, signed [][]byte, name []byte) string {
	h := digests.Get().(*digest)
	defer digests.Put(h)
	h.Reset()
	h.name = append(append(h.name[:0], endpoint...), 0)
	h.Write(h.name)
	for _, part := range signed {
		h.Write(part)
	}
	if name != nil {
		h.Write(zero)
		h.Write(name)
	}
	var id [2 * idBytes]byte
	hex.Encode(id[:], h.Sum(h.sum[:0])[:idBytes])
	return string(id[:])
}

const idBytes = 16

var zero = []byte{0}

// digest is a hash with what it needs around it, to be used again.
type digest struct {
	hash.Hash
	name []byte
	sum  [sha256.Size]byte
}

var digests = sync.Pool{New: func() any { return &digest{Hash: sha256.New()} }}
