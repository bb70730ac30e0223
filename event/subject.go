package event

import (
	"bytes"
	"strings"
)

// The bounds of the event's name in a subject. Subject drops the rest.
const (
	maxTokens     = 8
	maxEventBytes = 200
)

// Subject returns the NATS subject {prefix}.{endpoint}.{name} of an event. The tokens of the
// event's name are made of [A-Za-z0-9_-]. Any other character becomes _, and so does an empty
// token. So no name can be a wildcard or a subject of another endpoint.
func Subject(prefix, endpoint, name string) string {
	var room [256]byte
	dst := append(append(append(room[:0], prefix...), '.'), endpoint...)
	begin, tokens := len(dst)+1, 0
	for token := range strings.SplitSeq(name, ".") {
		if tokens++; tokens > maxTokens {
			break
		}
		dst = append(dst, '.')
		if token == "" {
			token = "_"
		}
		for _, c := range token {
			if !isTokenCharacter(c) {
				c = '_'
			}
			dst = append(dst, byte(c))
		}
	}
	dst = dst[:min(len(dst), begin+maxEventBytes)]
	return string(bytes.TrimRight(dst, ".")) // the cut may be after a dot
}

func isTokenCharacter(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
