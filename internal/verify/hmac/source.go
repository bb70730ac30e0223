package hmac

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// source is where a value of a delivery stands: in a header, or in the body at a path.
type source struct {
	header string // in canonical case; "" for the body
	slot   int    // of a path, among those of the tree
	isSet  bool
	signed bool
}

// tree has the paths of all sources, so that one walk through a body finds them all.
type tree struct {
	root node
	n    int // slots
}

// node is one name of a path.
type node struct {
	name     string
	slot     int // -1 where only longer paths go through here
	children []node
}

// maxSlots bounds how many paths the settings of an endpoint have.
const maxSlots = 12

// values are what a body has at the paths of a tree; nil where it has nothing.
type values [maxSlots]stringify.Text

// maxPath bounds a path's length.
const maxPath = 8

// add returns the slot of a path, with full stops between its names.
func (t *tree) add(path string) (int, error) {
	names := strings.Split(path, ".")
	if len(names) > maxPath {
		return 0, fmt.Errorf("the path has more than %d names", maxPath)
	}
	at := &t.root
	for _, name := range names {
		if name == "" {
			return 0, errors.New("a name of the path is missing")
		}
		at = at.child(name)
	}
	if at.slot < 0 {
		if t.n == maxSlots {
			return 0, fmt.Errorf("there are more than %d paths", maxSlots)
		}
		at.slot = t.n
		t.n++
	}
	return at.slot, nil
}

// child returns the child of that name, a new one where there is none.
func (n *node) child(name string) *node {
	for i := range n.children {
		if n.children[i].name == name {
			return &n.children[i]
		}
	}
	n.children = append(n.children, node{name: name, slot: -1})
	return &n.children[len(n.children)-1]
}

// read walks through a body.
func (t *tree) read(text stringify.Text, found *values) {
	if t.n > 0 {
		c := stringify.Cursor{Text: text}
		t.root.walk(&c, found)
	}
}

// walk reads the object at the cursor, and whatever of it lies on a path.
func (n *node) walk(c *stringify.Cursor, found *values) stringify.Text {
	return c.Object(func(name []byte) {
		for i := range n.children {
			child := &n.children[i]
			if !stringify.Is(name, child.name) {
				continue
			}
			var value stringify.Text
			if len(child.children) > 0 {
				value = child.walk(c, found)
			} else {
				value = c.Value()
			}
			if child.slot >= 0 {
				found[child.slot] = value
			}
			return
		}
	})
}

// source reads one of header:Name and body:path.
func (t *tree) source(text string) (s source, err error) {
	if name, ok := strings.CutPrefix(text, "header:"); ok {
		s.header, err = headerName(name)
		s.isSet = true
		return s, err
	}
	if path, ok := strings.CutPrefix(text, "body:"); ok {
		s.slot, err = t.add(path)
		s.isSet, s.signed = true, true
		return s, err
	}
	return source{}, fmt.Errorf("%q is neither header:Name nor body:path", text)
}

// maxSources is how many sources one setting may list.
const maxSources = 4

// sources reads a list of them, of which the first that a delivery has counts.
func (t *tree) sources(list string) (all []source, err error) {
	if list == "" {
		return nil, nil
	}
	position := 1
	for text := range strings.SplitSeq(list, ",") {
		s, err := t.source(strings.TrimSpace(text))
		switch {
		case err != nil:
			return nil, at1(position, err.Error())
		case len(all) == maxSources:
			return nil, fmt.Errorf("there are more than %d", maxSources)
		}
		all = append(all, s)
		position += len(text) + 1
	}
	return all, nil
}
