package event

import "encoding/json"

// Member returns the value in Data at a path of names; nil if there is none. Names are
// case-sensitive.
//
// encoding/json decodes into a struct without regard to case: "DATA" fills the field for "data",
// and the last one wins. If only a part of Data is signed (see Event.Signed), an unsigned member
// could win over a signed one.
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
