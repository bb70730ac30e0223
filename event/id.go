package event

import (
	"crypto/sha256"
	"encoding/hex"
)

// ID returns the id of an event: the first 16 bytes of SHA-256(endpoint ‖ 0x00 ‖ signed text), in
// hexadecimal, the same for every delivery of the same event. The signed text is given in the parts
// of which it is the concatenation.
//
// name is nil where the signed text itself says what happened. Otherwise ‖ 0x00 ‖ name follows: the
// event's name as it stands in the canonical body, escapes included, without its quotes.
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
	return hex.EncodeToString(h.Sum(nil)[:16])
}
