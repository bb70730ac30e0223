package event

import "bytes"

// The bounds of a subject's event part. The rest is dropped.
const (
	maxTokens     = 8
	maxEventBytes = 200
)

// Subject returns the NATS subject {prefix}.{endpoint}.{name} of an event. The tokens of the
// event's name are made of [A-Za-z0-9_-]. Any other character becomes _, and so does an empty
// token. So no name can be a wildcard or a subject of another endpoint.
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

// clip cuts the event part, which begins there, to the allowed length. It leaves no dot at the end.
func clip(dst []byte, begin int) []byte {
	if len(dst)-begin > maxEventBytes {
		dst = dst[:begin+len(bytes.TrimRight(dst[begin:begin+maxEventBytes], "."))]
	}
	return dst
}

func isTokenCharacter(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
