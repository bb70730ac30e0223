package verify

import (
	"bytes"
	"cmp"
	"fmt"
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
	all []place
	top []int // numbers of the body's members
}

type place struct {
	path, name string // name is the last one of the path
	mayBe      Kinds
	parent     int   // its number; -1: the body
	members    []int // their numbers
}

// Add adds a path, unless it is there, and returns its number, from 0 on. If the path of the object
// that holds it is to be added too, it must come first.
func (p *Paths) Add(path string, mayBe Kinds) int {
	if i := slices.IndexFunc(p.all, func(is place) bool { return is.path == path }); i >= 0 {
		return i
	}
	parent, siblings, name := -1, &p.top, path
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		parent, name = p.Add(path[:dot], Any), path[dot+1:]
		siblings = &p.all[parent].members
	}
	number := len(p.all)
	*siblings = append(*siblings, number)
	p.all = append(p.all, place{path: path, name: name, mayBe: mayBe, parent: parent})
	return number
}

// Values returns the values in a body by the paths' numbers; nil: there is none.
func (p *Paths) Values(body stringify.Text) []stringify.Text {
	values := make([]stringify.Text, len(p.all))
	p.read(&stringify.Cursor{Text: body}, p.top, values)
	return values
}

// read reads the value at the cursor, of which those members are wanted.
func (p *Paths) read(c *stringify.Cursor, members []int, values []stringify.Text) stringify.Text {
	if len(members) == 0 {
		return c.Value()
	}
	return c.Object(func(name []byte) {
		for _, i := range members {
			if m := &p.all[i]; string(name) == m.name {
				values[i] = p.read(c, m.members, values)
				return
			}
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
