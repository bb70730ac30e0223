package stringify

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// Text is a JSON value in its canonical form, as [Parse] returns it. A nil Text is a missing
// member. Because the form is unique, two values are equal if and only if their texts are.
type Text []byte

// IsObject reports whether the value is an object.
func (t Text) IsObject() bool { return len(t) > 0 && t[0] == '{' }

// IsString reports whether the value is a string.
func (t Text) IsString() bool { return len(t) > 0 && t[0] == '"' }

// Inside returns a string without its quotes, with its escapes; nil for any other value.
func (t Text) Inside() []byte {
	if !t.IsString() {
		return nil
	}
	return t[1 : len(t)-1]
}

// IsNumber reports whether the value is a number.
func (t Text) IsNumber() bool { return len(t) > 0 && (t[0] == '-' || '0' <= t[0] && t[0] <= '9') }

// Number returns the number's value; ok is false for any other value.
func (t Text) Number() (f float64, ok bool) {
	if !t.IsNumber() {
		return math.NaN(), false
	}
	f, err := strconv.ParseFloat(string(t), 64)
	return f, err == nil
}

// String returns a decoded string, or the text of any other value. A lone surrogate, which UTF-8
// can't encode, becomes U+FFFF, which is no character either.
func (t Text) String() string { return string(t.AppendString(nil)) }

// AppendString appends the result of [Text.String].
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

// Member returns the member of that name; nil if there is none, or if the value isn't an object.
// The name must be in its canonical spelling, without quotes. To read several members use a
// [Cursor].
func (t Text) Member(name string) (found Text) {
	c := Cursor{Text: t}
	c.Object(func(member []byte) {
		if string(member) == name {
			found = c.Value()
		}
	})
	return found
}

// Cursor reads a value in one walk from its beginning to its end.
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

// Object reads the value at the cursor. If it is an object, it calls member for each member, with
// the name in its canonical spelling, without quotes. The cursor is then at the value, which member
// may read.
func (c *Cursor) Object(member func(name []byte)) Text {
	from := c.at
	switch {
	case from == len(c.Text): // a nil Text
		return nil
	case c.Text[from] != '{' || c.Text[from+1] == '}':
		return c.Value()
	}
	for more := true; more; more = c.Text[c.at] == ',' {
		name := c.at + 2 // after the brace or comma and the quote
		value := skipString(c.Text, name-1) + 1
		c.at = value
		if member(c.Text[name : value-2]); c.at == value {
			c.at = skipValue(c.Text, value)
		}
	}
	c.at++
	return c.Text[from:c.at:c.at]
}

// skipValue returns the end of the value at i in a canonical text.
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
		i = skipPlain(t, i+2) // the backslash and the next byte
	}
	return i + 1
}
