package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// object is a JSON object whose members keep their order and their text.
type object []struct {
	name  string
	value []byte
}

func parse(text []byte) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("reading delivery: not a JSON object: %.40s", text)
	}
	var o object
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("reading delivery: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading delivery: %w", err)
		}
		o = append(o, struct {
			name  string
			value []byte
		}{fmt.Sprint(name), value})
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return nil, fmt.Errorf("reading delivery: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading delivery: something follows the JSON object")
	}
	return o, nil
}

func (o object) get(name string) []byte {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// set returns the object with the member set, at the end where it is new.
func (o object) set(name string, value []byte) object {
	changed := append(object(nil), o...)
	for i, m := range changed {
		if m.name == name {
			changed[i].value = value
			return changed
		}
	}
	return append(changed, struct {
		name  string
		value []byte
	}{name, value})
}

func (o object) text() []byte {
	text := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, quoted(m.name)...), ':'), m.value...)
	}
	return append(text, '}')
}
