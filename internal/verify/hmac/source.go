package hmac

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// source is the place of a value: a header, or a path in the body.
type source struct {
	header string // in canonical case; "": the body
	slot   int    // of the path in the tree
	isSet  bool
	signed bool
}

// tree holds the paths of all sources, so that one walk through a body finds all values.
type tree struct {
	root node
	n    int // slots
}

// node is one name of a path.
type node struct {
	name     string
	slot     int // -1: no path ends here
	children []node
}

// maxSlots bounds the paths in the settings of an endpoint.
const maxSlots = 12

// values are the values of a body at the paths of a tree; nil: none.
type values [maxSlots]stringify.Text

// maxPath bounds a path's length.
const maxPath = 8

// add returns the slot of a path such as a.b.c.
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

// child returns the child of that name, and creates it if it is missing.
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

// walk reads the object at the cursor and the values on paths.
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

// source parses header:Name or body:path.
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

// maxSources bounds the sources in one setting.
const maxSources = 4

// sources parses a list of sources. The first that a delivery has counts.
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
