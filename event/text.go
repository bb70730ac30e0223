package event

import (
	"strings"
	"unicode/utf8"
)

// allowed reports whether CloudEvents' String type may hold the character: no controls, no
// noncharacters, no surrogates (CloudEvents 1.0.2, Type System). A Go string holds a surrogate only
// as invalid UTF-8.
func allowed(c rune) bool {
	switch {
	case c < 0x20, 0x7f <= c && c < 0xa0:
		return false
	case 0xfdd0 <= c && c <= 0xfdef, c&0xfffe == 0xfffe:
		return false
	}
	return true
}

// isPlain reports whether a text is ASCII, without controls, and needs no escaping in
// JSON.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// clean replaces what CloudEvents' strings may not hold by _.
func clean(text string) string {
	if valid(text) {
		return text
	}
	return strings.Map(func(c rune) rune {
		if allowed(c) {
			return c
		}
		return '_'
	}, strings.ToValidUTF8(text, "_"))
}

// valid reports whether text may be a CloudEvents string as it stands.
func valid(text string) bool {
	if isPlain(text) {
		return true
	}
	for _, c := range text {
		if !allowed(c) {
			return false
		}
	}
	return utf8.ValidString(text)
}

// allowedOrNone returns text where it may be an attribute, "" where it must be left out.
func allowedOrNone(text string) string {
	if valid(text) {
		return text
	}
	return ""
}
