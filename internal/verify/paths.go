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
	Object

	Optional = Missing | Null
	Any      = ^Kinds(0)
)

// kinds has the kind of a value by its first byte. A value with any other first byte is a number.
var kinds = [256]Kinds{'{': Object, '[': Array, '"': String, 'n': Null, 't': Boolean, 'f': Boolean}

// Paths are places in a body, such as data.id, each with the kinds of values that the vendor
// documents. One walk through a body finds all their values.
type Paths struct {
	all []place
	top []int // numbers of the paths of the body's members
}

type place struct {
	path, name string // name is the last name in the path
	mayBe      Kinds
	parent     int   // the number of the object's path; -1: the body
	members    []int // the numbers of its members' paths
}

// Add adds a path, unless it is there, and returns its number, from 0 on. It also adds the path of the
// object around it, with Any: to document another kind for that object, add it first.
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

// Values returns the values in a body by the paths' numbers; nil for a missing one.
func (p *Paths) Values(body stringify.Text) []stringify.Text {
	values := make([]stringify.Text, len(p.all))
	p.read(&stringify.Cursor{Text: body}, p.top, values)
	return values
}

// Both returns the values in the canonical body, to compare, and those in the envelope's body, to publish.
// They differ only if the body was signed as it was sent.
func (p *Paths) Both(r Request, c Claims) (canonical, sent []stringify.Text) {
	canonical = p.Values(r.Body)
	if !c.AsSent {
		return canonical, canonical
	}
	return canonical, p.Values(c.Body)
}

// read reads the value at the cursor, and puts the wanted members into values.
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

// CheckNames returns a Contradiction if a body has a member whose name differs from one of the names
// in case alone (by Unicode's simple case folding). Decoders that ignore case, such as Go's
// encoding/json, could take it for the member that was verified.
func CheckNames(body stringify.Text, names ...string) (err error) {
	c := stringify.Cursor{Text: body}
	c.Object(func(is []byte) {
		for _, name := range names {
			if string(is) != name && bytes.EqualFold(is, []byte(name)) {
				err = fmt.Errorf("%w: a member's name differs from %s in case alone", Contradiction, name)
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
