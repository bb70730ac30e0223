package event

import "strings"

// The bounds of a subject's event part: what goes beyond them is dropped.
const (
	maxTokens     = 8
	maxEventBytes = 200
)

// Subject returns the NATS subject {prefix}.{endpoint}.{name} of an event. Every token of the
// vendor's event name is made of [A-Za-z0-9_-]: another character becomes _, an empty token too, so
// that no name can hold a wildcard or reach another endpoint's subjects.
func Subject(prefix, endpoint, name string) string {
	return prefix + "." + endpoint + "." + eventPart(name)
}

func eventPart(name string) string {
	var b strings.Builder
	token, tokens := 0, 1 // bytes of the current token; tokens begun
	for _, c := range name {
		if c == '.' {
			if token == 0 {
				b.WriteByte('_')
			}
			if tokens == maxTokens {
				return clip(b.String())
			}
			b.WriteByte('.')
			token, tokens = 0, tokens+1
			continue
		}
		if !isTokenCharacter(c) {
			c = '_'
		}
		b.WriteByte(byte(c))
		token++
		if b.Len() > maxEventBytes {
			break
		}
	}
	if token == 0 {
		b.WriteByte('_')
	}
	return clip(b.String())
}

// clip cuts to the allowed length; a token of which nothing is left goes with its dot.
func clip(part string) string {
	if len(part) > maxEventBytes {
		part = strings.TrimRight(part[:maxEventBytes], ".")
	}
	return part
}

func isTokenCharacter(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
