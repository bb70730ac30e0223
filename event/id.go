package event

import (
	"crypto/sha256"
	"encoding/hex"
)

// ID returns the id of an event: the first 16 bytes of SHA-256(endpoint ‖ 0x00 ‖ signed text), in
// hexadecimal, the same for every delivery of the same event. signed has the signed text in parts.
//
// If the signed text doesn't contain the event's name, ‖ 0x00 ‖ name follows: the name as it is
// written in the canonical body, with escapes and without quotes. Otherwise name is nil.
func ID(endpoint string, signed [][]byte, name []byte) string {
	h := sha256.New()
	h.Write([]byte(endpoint + "\x00"))
	for _, part := range signed {
		h.Write(part)
	}
	if name != nil {
		h.Write([]byte{0})
		h.Write(name)
	}
	var sum [sha256.Size]byte
	return hex.EncodeToString(h.Sum(sum[:0])[:16])
}
