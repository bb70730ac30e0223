package event

import (
	"strings"
	"unicode"
)

// allowed reports whether CloudEvents' String type may hold the character: no controls, no
// noncharacters, no surrogates (CloudEvents 1.0.2, Type System). A Go string holds a surrogate only
// as invalid UTF-8.
func allowed(c rune) bool {
	return ' ' <= c && c <= '~' || !unicode.In(c, unicode.Cc, unicode.Noncharacter_Code_Point)
}

// clean replaces forbidden characters by _.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if allowed(c) {
			return c
		}
		return '_'
	}, strings.ToValidUTF8(text, "_"))
}

// allowedOrNone returns text if it may be an attribute, else "": the attribute is left out.
func allowedOrNone(text string) string {
	if clean(text) != text {
		return ""
	}
	return text
}
