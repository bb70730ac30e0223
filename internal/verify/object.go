package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Object is a JSON object whose members keep their order and their text.
type Object []Member

// Member is one member of an Object.
type Member struct {
	Name  string
	Value stringify.Text
}

// ParseObject reads one JSON object.
func ParseObject(text []byte) (o Object, err error) {
	if _, err := stringify.Check(text); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	c := stringify.Cursor{Text: text}
	all := c.Object(func(name []byte) {
		o = append(o, Member{string(name), c.Value()})
	})
	if !all.IsObject() {
		return nil, errors.New("not a JSON object")
	}
	return o, nil
}

// Set returns the object with the value at a path such as data.id. It changes o, and makes the
// objects on the way; a new member goes to the end.
func (o Object) Set(path string, value []byte) Object {
	name, rest, isDeeper := strings.Cut(path, ".")
	i := slices.IndexFunc(o, func(m Member) bool { return m.Name == name })
	if i < 0 {
		i = len(o)
		o = append(o, Member{Name: name})
	}
	if isDeeper {
		inner, _ := ParseObject(o[i].Value) // nil: it is missing, or no object
		value = inner.Set(rest, value).Text()
	}
	o[i].Value = value
	return o
}

// Text returns the object as JSON.
func (o Object) Text() []byte {
	text := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, Quoted(m.Name)...), ':'), m.Value...)
	}
	return append(text, '}')
}

// Quoted returns text as a JSON string.
func Quoted(text string) []byte {
	encoded, _ := json.Marshal(text) // a string has no error
	return encoded
}

// CheckNames returns a Contradiction if a body has a member whose name differs from one of the names,
// and only in case (Unicode's simple case folding): decoders that ignore case, such as Go's
// encoding/json, read it instead of the member that was verified.
func CheckNames(body stringify.Text, names ...string) (err error) {
	c := stringify.Cursor{Text: body}
	c.Object(func(is []byte) {
		for _, name := range names {
			if string(is) != name && bytes.EqualFold(is, []byte(name)) {
				err = fmt.Errorf("%w: a member's name differs from another's in case alone", Contradiction)
			}
		}
	})
	return err
}

// TextOf returns the text of a string or a number, and "" for any other value.
func TextOf(value stringify.Text) string {
	if value.IsString() || value.IsNumber() {
		return value.String()
	}
	return ""
}
