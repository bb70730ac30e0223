package verify

import "github.com/ade15e70/webhook-bridge/internal/stringify"

// Kinds is a set of kinds of JSON values, Missing among them.
type Kinds uint8

// The kinds.
const (
	Missing Kinds = 1 << iota
	Null
	Boolean
	Number
	String
	Array
	Composite // an object

	Optional = Missing | Null
)

// KindOf returns the kind of a value, Missing of the nil Text.
func KindOf(t stringify.Text) Kinds {
	if len(t) == 0 {
		return Missing
	}
	switch t[0] {
	case '{':
		return Composite
	case '[':
		return Array
	case '"':
		return String
	case 'n':
		return Null
	case 't', 'f':
		return Boolean
	}
	return Number
}

// Expected is a member of a body, with its kind and those that its vendor documents.
type Expected struct {
	Name      string
	Is, MayBe Kinds
}

// Drift returns the name of the first member whose kind isn't documented, "" where there is none.
func Drift(members ...Expected) string {
	for _, m := range members {
		if max(m.Is, Missing)&m.MayBe == 0 {
			return m.Name
		}
	}
	return ""
}
