package secret

import (
	"regexp"
	"strings"
	"unicode"
)

// assignment matches a name and an equals sign before a secret, but not the padding of base64.
var assignment = regexp.MustCompile(`^(export +)?[A-Z][A-Z0-9_]*=[^=]`)

var quoted = regexp.MustCompile(`^(".*"|'.*'|` + "`.*`" + `|[“„].*[”“]|‘.*’)$`)

const shortest = 16 // characters; generated secrets have more

// Doubt returns why a secret looks wrong, and what to do; "" if it looks right. It quotes no part
// of the secret.
func (s Secret) Doubt() string {
	text := string(s.Key())
	switch {
	case quoted.MatchString(text):
		return "has quotation marks around it, which count as a part of it: leave them out; env files and Kubernetes Secrets keep them"
	case assignment.MatchString(text):
		return "has a name and = in front, which count as a part of it: give the secret alone"
	case strings.ContainsFunc(text, unicode.IsSpace):
		return "has white space in it: copy it again; separate several secrets by commas in a variable, or by lines in a file"
	case strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }):
		return "has characters in it that aren't ASCII, or are invisible: copy it again"
	case len(text) < shortest:
		return "has fewer than 16 characters: if a shell has eaten the part from a $ or ! on, quote it with '; a short secret can be guessed from a signature"
	}
	return ""
}
