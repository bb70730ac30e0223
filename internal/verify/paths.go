package verify

import (
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Paths are places in a body, such as data.id. One walk through a body finds all their values.
type Paths struct {
	root  node
	count int
}

// node is one name of a path.
type node struct {
	name     string
	number   int // of the path that ends here, from 1; 0: none
	children []*node
}

// Add adds a path, unless it is there, and returns its number from 0.
func (p *Paths) Add(path string) int {
	at := &p.root
	for name := range strings.SplitSeq(path, ".") {
		i := slices.IndexFunc(at.children, func(n *node) bool { return n.name == name })
		if i < 0 {
			i = len(at.children)
			at.children = append(at.children, &node{name: name})
		}
		at = at.children[i]
	}
	if at.number == 0 {
		p.count++
		at.number = p.count
	}
	return at.number - 1
}

// Values returns the values in a body by the paths' numbers; nil: there is none.
func (p *Paths) Values(body stringify.Text) []stringify.Text {
	values := make([]stringify.Text, p.count)
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
			if child.number > 0 {
				values[child.number-1] = value
			}
			return
		}
	})
}
