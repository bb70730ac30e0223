package event

import "bytes"

// The bounds of a subject's event part: what goes beyond them is dropped.
const (
	maxTokens     = 8
	maxEventBytes = 200
)

// Subject returns the NATS subject {prefix}.{endpoint}.{name} of an event. Every token of the
// vendor's event name is made of [A-Za-z0-9_-]: another character becomes _, an empty token too, so
// that no name can hold a wildcard or reach another endpoint's subjects.
func Subject(prefix, endpoint, name string) string {
	var room [256]byte
	dst := append(append(append(append(room[:0], prefix...), '.'), endpoint...), '.')
	return string(appendEventPart(dst, name))
}

func appendEventPart(dst []byte, name string) []byte {
	begin, token, tokens := len(dst), 0, 1 // of the part; bytes of the current token; tokens begun
	for _, c := range name {
		if c == '.' {
			if token == 0 {
				dst = append(dst, '_')
			}
			if tokens == maxTokens {
				return clip(dst, begin)
			}
			dst = append(dst, '.')
			token, tokens = 0, tokens+1
			continue
		}
		if !isTokenCharacter(c) {
			c = '_'
		}
		dst = append(dst, byte(c))
		token++
		if len(dst)-begin > maxEventBytes {
			break
		}
	}
	if token == 0 {
		dst = append(dst, '_')
	}
	return clip(dst, begin)
}

// clip cuts the part that begins there to the allowed length; a token of which nothing is left goes with
// its dot.
func clip(dst []byte, begin int) []byte {
	if len(dst)-begin > maxEventBytes {
		dst = dst[:begin+len(bytes.TrimRight(dst[begin:begin+maxEventBytes], "."))]
	}
	return dst
}

func isTokenCharacter(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
