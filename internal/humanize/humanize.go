// Package humanize formats values for people.
package humanize

import (
	"strings"
	"time"
	"unicode"
)

// Duration formats a duration without trailing zeros: 25h, not 25h0m0s.
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Text replaces characters that would move a terminal's cursor or break a line. Others may write to
// the stream, and end users choose some ids.
func Text(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
