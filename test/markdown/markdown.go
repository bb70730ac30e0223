// Package markdown writes the generated parts of documents.
package markdown

import (
	"strings"
	"unicode/utf8"
)

// Wrap breaks a paragraph into lines of at most 100 columns, of which all but the first are
// indented.
func Wrap(paragraph, indent string) string {
	var out strings.Builder
	column := 0
	for word := range strings.FieldsSeq(paragraph) {
		width := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+width > 100:
			out.WriteString("\n" + indent)
			column = len(indent)
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += width
	}
	return out.String() + "\n"
}

// Item returns an item of a list.
func Item(text string) string { return Wrap("- "+text, "  ") }
