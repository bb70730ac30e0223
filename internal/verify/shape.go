package verify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Kinds is a set of kinds of JSON values. Missing is one of them.
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

// kinds has the kind of a value by its first byte. A value with any other first byte is a number.
var kinds = [256]Kinds{'{': Composite, '[': Array, '"': String, 'n': Null, 't': Boolean, 'f': Boolean}

func kindOf(t stringify.Text) Kinds {
	if len(t) == 0 {
		return Missing
	}
	return cmp.Or(kinds[t[0]], Number)
}

// Shape lists members of a vendor's bodies, each with the kinds that the vendor documents.
type Shape []Documented

// Documented is a member of a Shape.
type Documented struct {
	Path  string // data.id, say
	MayBe Kinds

	parent int // position of the object that holds it; -1: not in the Shape
}

// Paths returns the members' paths, in the same order. It must be called before Drift.
func (s Shape) Paths() (p Paths) {
	for i, m := range s {
		p.Add(m.Path)
		parent := m.Path[:max(0, strings.LastIndexByte(m.Path, '.'))]
		s[i].parent = slices.IndexFunc(s, func(m Documented) bool { return m.Path == parent })
	}
	return p
}

// Drift returns the path of the first member whose value is of another kind; "" if there is none. If
// a value isn't the documented object, its members don't count as missing.
func (s Shape) Drift(values []stringify.Text) string {
	for i, m := range s {
		is := kindOf(values[i])
		if is&m.MayBe == 0 && (is != Missing || m.parent < 0 || values[m.parent].IsObject()) {
			return m.Path
		}
	}
	return ""
}
