package verify

import (
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

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

func kindOf(t stringify.Text) Kinds {
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

// Shape lists members of a vendor's bodies, each with the kinds that the vendor documents.
type Shape []Documented

// Documented is a member of a Shape. Its path is such as data.id.
type Documented struct {
	Path  string
	MayBe Kinds
}

// Paths returns the members' paths, in the same order.
func (s Shape) Paths() (p Paths) {
	for _, m := range s {
		p.Add(m.Path)
	}
	return p
}

// Drift returns the path of the first member whose value is of another kind; "" if there is none.
// Nothing is missed in a value that isn't an object.
func (s Shape) Drift(values []stringify.Text) string {
	for i, m := range s {
		is := kindOf(values[i])
		if is&m.MayBe == 0 && !(is == Missing && s.isOrphan(m.Path, values)) {
			return m.Path
		}
	}
	return ""
}

func (s Shape) isOrphan(path string, values []stringify.Text) bool {
	parent := path[:max(0, strings.LastIndexByte(path, '.'))]
	i := slices.IndexFunc(s, func(m Documented) bool { return m.Path == parent })
	return i >= 0 && !values[i].IsObject()
}
