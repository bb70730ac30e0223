package event

import "encoding/json"

// Member returns the value of a member of Data: of the first name, then of what it holds the second,
// and so on; nil where there is none. Names count as they are written.
//
// A struct that encoding/json decodes into takes a name in any case, as Unicode folds it: "DATA" fills
// the field for "data", and what comes last wins. Where only some of Data is signed, as Signed says,
// what wins so may be what isn't.
func (e *Event) Member(path ...string) json.RawMessage {
	value := e.Data
	for _, name := range path {
		var members map[string]json.RawMessage // a map's keys are the names
		if json.Unmarshal(value, &members) != nil {
			return nil
		}
		value = members[name]
	}
	return value
}
