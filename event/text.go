package event

import "strings"

// allowed reports whether CloudEvents' String type may hold the character: no controls, no
// noncharacters, no surrogates (CloudEvents 1.0.2, Type System). A Go string holds a surrogate only
// as invalid UTF-8.
func allowed(c rune) bool {
	switch {
	case ' ' <= c && c <= '~':
		return true
	case c < 0x20, 0x7f <= c && c < 0xa0:
		return false
	case 0xfdd0 <= c && c <= 0xfdef, c&0xfffe == 0xfffe:
		return false
	}
	return true
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
