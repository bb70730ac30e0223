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

// checkObject returns an error if the text isn't one JSON object.
func checkObject(text []byte) error {
	switch c, err := stringify.Check(text, true); {
	case err != nil:
		return fmt.Errorf("not a JSON object: %w", err)
	case !c.Text().IsObject():
		return errors.New("not a JSON object")
	}
	return nil
}

// Set returns a JSON object with the value at a path such as data.id. It makes the objects on the
// way; a new member goes to the end.
func Set(object stringify.Text, path string, value []byte) []byte {
	name, rest, isDeeper := strings.Cut(path, ".")
	var members [][]byte
	isThere := false
	add := func(member string, text stringify.Text) {
		if member == name {
			isThere = true
			if !isDeeper {
				text = value
			} else {
				text = Set(text, rest, value)
			}
		}
		members = append(members, append(append(Quoted(member), ':'), text...))
	}
	c := stringify.Cursor{Text: object}
	c.Object(func(member []byte) { add(string(member), c.Value()) })
	if !isThere {
		add(name, nil)
	}
	return slices.Concat([]byte{'{'}, bytes.Join(members, []byte{','}), []byte{'}'})
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
