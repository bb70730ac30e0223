package stringify

import (
	"bytes"
	"strings"
	"unicode/utf16"
)

// Text is a valid JSON value, in canonical form or as it was sent; nil for a missing member. Two values
// are equal if and only if their canonical forms are.
type Text []byte

// IsObject reports whether the value is an object.
func (t Text) IsObject() bool { return len(t) > 0 && t[0] == '{' }

// IsString reports whether the value is a string.
func (t Text) IsString() bool { return len(t) > 0 && t[0] == '"' }

// Inside returns a string with its escapes, but without its quotes; nil for any other value.
func (t Text) Inside() []byte {
	if !t.IsString() {
		return nil
	}
	return t[1 : len(t)-1]
}

// IsNumber reports whether the value is a number.
func (t Text) IsNumber() bool { return len(t) > 0 && isNumeric(t[0]) }

// isNumeric reports whether a value that begins with c is a number.
func isNumeric(c byte) bool { return c == '-' || '0' <= c && c <= '9' }

// String returns a decoded string, or the text of any other value. A lone surrogate, which UTF-8
// can't encode, becomes U+FFFF, which is no character either.
func (t Text) String() string {
	if !t.IsString() {
		return string(t)
	}
	return decoded(t.Inside())
}

// decoded returns the decoded inside of a string.
func decoded(inside []byte) string {
	var text strings.Builder
	for {
		plain := bytes.IndexByte(inside, '\\')
		if plain < 0 {
			text.Write(inside)
			return text.String()
		}
		text.Write(inside[:plain])
		r, size := unescape(inside[plain:])
		if utf16.IsSurrogate(r) {
			r = '\uffff'
		}
		text.WriteRune(r)
		inside = inside[plain+size:]
	}
}

// Member returns the member of that name; nil if there is none, or if the value isn't an object. To
// read several members use a [Cursor].
func (t Text) Member(name string) (found Text) {
	c := Cursor{Text: t}
	c.Object(func(member []byte) {
		if string(member) == name {
			found = c.Value()
		}
	})
	return found
}

// Cursor reads a value in one walk from its beginning to its end. The text may have white space.
type Cursor struct {
	Text Text
	at   int
}

// Value reads the value at the cursor.
func (c *Cursor) Value() Text {
	from := skipSpace(c.Text, c.at)
	c.at = skipValue(c.Text, from)
	return c.Text[from:c.at:c.at]
}

// Object reads the value at the cursor. If it is an object, it calls member for each member, with
// the decoded name. The cursor is then at the value, which member may read.
func (c *Cursor) Object(member func(name []byte)) Text {
	from := skipSpace(c.Text, c.at)
	switch {
	case from == len(c.Text): // a nil Text
		return nil
	case c.Text[from] != '{':
		return c.Value()
	}
	for c.at = skipSpace(c.Text, from+1); c.Text[c.at] != '}'; c.at = skipSpace(c.Text, c.at) {
		if c.Text[c.at] == ',' {
			c.at = skipSpace(c.Text, c.at+1)
		}
		end := skipString(c.Text, c.at)
		name, value := c.Text[c.at+1:end-1], skipSpace(c.Text, end)+1
		if bytes.IndexByte(name, '\\') >= 0 {
			name = []byte(decoded(name))
		}
		c.at = value
		if member(name); c.at == value {
			c.Value()
		}
	}
	c.at++
	return c.Text[from:c.at:c.at]
}

// skipValue returns the end of the value at i in a valid text.
func skipValue(t []byte, i int) int {
	for depth := 0; i < len(t); i++ {
		switch t[i] {
		case '{', '[':
			depth++
			continue
		case '"':
			i = skipString(t, i) - 1
		case '}', ']':
			if depth--; depth < 0 { // the end of the object or array around a number or a literal
				return i
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// skipString returns the end of the string at i in a valid text.
func skipString(t []byte, i int) int {
	for i = skipPlain(t, i+1); t[i] != '"'; i = skipPlain(t, i) {
		i += 2 // a backslash and what it escapes, if only in part: the rest is plain
	}
	return i + 1
}
