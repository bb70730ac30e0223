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
	Any      = ^Kinds(0)
)

// kinds has the kind of a value by its first byte. A value with any other first byte is a number.
var kinds = [256]Kinds{'{': Composite, '[': Array, '"': String, 'n': Null, 't': Boolean, 'f': Boolean}

// Paths are places in a body, such as data.id, each with the kinds of values that the vendor
// documents. One walk through a body finds all their values.
type Paths struct {
	root node
	all  []documented
}

type documented struct {
	path   string
	mayBe  Kinds
	parent int // number of the object that holds it; -1: not in the Paths
}

// node is one name of a path.
type node struct {
	name     string
	number   int // of the path that ends here; -1: none
	children []*node
}

// Add adds a path, unless it is there, and returns its number, from 0 on. If the path of the object
// that holds it is to be added too, it must come first.
func (p *Paths) Add(path string, mayBe Kinds) int {
	at, parent := &p.root, -1
	for name := range strings.SplitSeq(path, ".") {
		if at != &p.root {
			parent = at.number
		}
		i := slices.IndexFunc(at.children, func(n *node) bool { return n.name == name })
		if i < 0 {
			i = len(at.children)
			at.children = append(at.children, &node{name: name, number: -1})
		}
		at = at.children[i]
	}
	if at.number < 0 {
		at.number = len(p.all)
		p.all = append(p.all, documented{path, mayBe, parent})
	}
	return at.number
}

// Values returns the values in a body by the paths' numbers; nil: there is none.
func (p *Paths) Values(body stringify.Text) []stringify.Text {
	values := make([]stringify.Text, len(p.all))
	p.root.read(&stringify.Cursor{Text: body}, values)
	return values
}

// read reads the value at the cursor.
func (n *node) read(c *stringify.Cursor, values []stringify.Text) stringify.Text {
	if len(n.children) == 0 {
		return c.Value()
	}
	return c.Object(func(name []byte) {
		for _, child := range n.children {
			if string(name) != child.name {
				continue
			}
			value := child.read(c, values)
			if child.number >= 0 {
				values[child.number] = value
			}
			return
		}
	})
}

// Drift returns the first path whose value isn't of a documented kind; "" if there is none. If a
// value isn't the documented object, its members don't count as missing.
func (p *Paths) Drift(values []stringify.Text) string {
	for i, m := range p.all {
		is := Missing
		if value := values[i]; value != nil {
			is = cmp.Or(kinds[value[0]], Number)
		}
		if is&m.mayBe == 0 && (is != Missing || m.parent < 0 || values[m.parent].IsObject()) {
			return m.path
		}
	}
	return ""
}
