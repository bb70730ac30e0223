package event

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Text is an id, which a vendor may write as text or as a number. No number is rounded.
type Text string

// Rest holds the members of an object that aren't documented, by their names.
type Rest map[string]json.RawMessage

// object is a JSON object, whose documented members are taken out of Rest by their exact names. drift is
// the error for the first member that isn't of a documented kind.
type object struct {
	Rest
	path  string
	drift *error
}

// openPayload opens an event's data.
func openPayload(data json.RawMessage) object {
	o := object{drift: new(error)}
	if json.Unmarshal(data, &o.Rest) != nil {
		o.Rest = nil // it is no object, and has no members
	}
	return o
}

// take takes a member of one of the kinds out of the object. It returns "" if there is none.
func (o object) take(name string, kinds ...string) string {
	value := o.Rest[name]
	is := kindOf(value)
	if !slices.Contains(kinds, is) {
		if *o.drift == nil {
			*o.drift = fmt.Errorf("event: %s%s is %s, not %s", o.path, name, is, kinds[0])
		}
		return ""
	}
	delete(o.Rest, name)
	text := string(value)
	switch is {
	case aNull:
		return ""
	case aString:
		_ = json.Unmarshal(value, &text) // no error: it is a string
	}
	return text
}

// open takes a member that is an object out of the object. If there is none, the Rest of the result is nil.
func (o object) open(name string, kinds ...string) object {
	inner := object{path: o.path + name + ".", drift: o.drift}
	_ = json.Unmarshal([]byte(o.take(name, append([]string{anObject}, kinds...)...)), &inner.Rest)
	return inner
}

// The kinds of values.
const (
	missing  = "missing"
	aNull    = "null"
	aBoolean = "a boolean"
	aNumber  = "a number"
	aString  = "text"
	anArray  = "an array"
	anObject = "an object"
)

// kinds has the kind of a value by its first byte. A value with any other first byte is a number.
var kinds = [256]string{'{': anObject, '[': anArray, '"': aString, 'n': aNull, 't': aBoolean, 'f': aBoolean}

func kindOf(value json.RawMessage) string {
	if len(value) == 0 {
		return missing
	}
	return cmp.Or(kinds[value[0]], aNumber)
}
