package stringify

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// Text is one JSON value in its canonical form, as [Parse] returns it. The nil Text is a member
// that isn't there. Because the form is unique, two values are equal just when their texts are.
type Text []byte

// IsObject reports whether the value is an object.
func (t Text) IsObject() bool { return len(t) > 0 && t[0] == '{' }

// IsString reports whether the value is a string.
func (t Text) IsString() bool { return len(t) > 0 && t[0] == '"' }

// Inside returns a string's text without its quotes, escapes as they stand; nil for another value.
func (t Text) Inside() []byte {
	if !t.IsString() {
		return nil
	}
	return t[1 : len(t)-1]
}

// IsNumber reports whether the value is a number.
func (t Text) IsNumber() bool { return len(t) > 0 && (t[0] == '-' || '0' <= t[0] && t[0] <= '9') }

// Number returns the number's value; ok is false for another value.
func (t Text) Number() (f float64, ok bool) {
	if !t.IsNumber() {
		return math.NaN(), false
	}
	f, err := strconv.ParseFloat(string(t), 64)
	return f, err == nil
}

// String returns a string as it reads, and another value as its text. A lone surrogate, which Go's
// strings can't hold, reads U+FFFF: a noncharacter, which nobody means as text either.
func (t Text) String() string { return string(t.AppendString(nil)) }

// AppendString appends what [Text.String] returns.
func (t Text) AppendString(dst []byte) []byte {
	if !t.IsString() {
		return append(dst, t...)
	}
	inside := t.Inside()
	for {
		plain := bytes.IndexByte(inside, '\\')
		if plain < 0 {
			return append(dst, inside...)
		}
		dst = append(dst, inside[:plain]...)
		e := unescape(inside[plain:])
		if isHigh(e.r) || isLow(e.r) {
			e.r = '\uffff'
		}
		dst = utf8.AppendRune(dst, e.r)
		inside = inside[plain+e.len:]
	}
}

// Member returns the member of that name, nil where there is none or the value is no object. The
// name is given in its canonical spelling, without quotes. Who wants several reads them with a [Cursor].
func (t Text) Member(name string) (found Text) {
	c := Cursor{Text: t}
	c.Object(func(member []byte) {
		if string(member) == name {
			found = c.Value()
		}
	})
	return found
}

// Cursor reads a value from its beginning to its end, in one walk, whatever is wanted of it.
type Cursor struct {
	Text Text
	at   int
}

// Value reads the value at the cursor.
func (c *Cursor) Value() Text {
	from := c.at
	c.at = skipValue(c.Text, from)
	return c.Text[from:c.at:c.at]
}

// Object reads the value at the cursor, and calls member for each member where it is an object: with the name in its
// canonical spelling, without quotes, and the cursor at the value, which member may read.
func (c *Cursor) Object(member func(name []byte)) Text {
	from := c.at
	switch {
	case from == len(c.Text): // of the nil Text
		return nil
	case c.Text[from] != '{' || c.Text[from+1] == '}':
		return c.Value()
	}
	for more := true; more; more = c.Text[c.at] == ',' {
		name := c.at + 2 // behind the brace or comma, and the quote
		value := skipString(c.Text, name-1) + 1
		c.at = value
		if member(c.Text[name : value-2]); c.at == value {
			c.at = skipValue(c.Text, value)
		}
	}
	c.at++
	return c.Text[from:c.at:c.at]
}

// skipValue returns where the value at i ends, in a canonical text.
func skipValue(t Text, i int) int {
	for depth := 0; ; {
		switch t[i] {
		case '"':
			i = skipString(t, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':':
			i++
			continue
		default:
			for i++; i < len(t) && isScalar(t[i]); {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

func skipString(t Text, i int) int {
	i = skipPlain(t, i+1)
	for t[i] != '"' {
		i = skipPlain(t, i+2) // the backslash, and what it keeps from ending the string
	}
	return i + 1
}
