package hmac

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// source is the place of a value: a header, or a path in the body.
type source struct {
	header string // in canonical case; "": the body
	path   int    // its number
	isSet  bool
	signed bool
}

// maxPath bounds a path's length.
const maxPath = 8

// parseSource parses header:Name or body:path, and adds the path.
func parseSource(text string, paths *verify.Paths) (s source, err error) {
	if name, ok := strings.CutPrefix(text, "header:"); ok {
		s.header, err = headerName(name)
		s.isSet = true
		return s, err
	}
	path, ok := strings.CutPrefix(text, "body:")
	switch names := strings.Split(path, "."); {
	case !ok:
		return source{}, fmt.Errorf("%q is neither header:Name nor body:path", text)
	case len(names) > maxPath:
		return source{}, fmt.Errorf("the path has more than %d names", maxPath)
	case slices.Contains(names, ""):
		return source{}, errors.New("a name of the path is missing")
	}
	return source{path: paths.Add(path), isSet: true, signed: true}, nil
}

// maxSources bounds the sources in one setting.
const maxSources = 4

// parseSources parses a list of sources. The first that a delivery has counts.
func parseSources(list string, paths *verify.Paths) (all []source, err error) {
	if list == "" {
		return nil, nil
	}
	position := 1
	for text := range strings.SplitSeq(list, ",") {
		s, err := parseSource(strings.TrimSpace(text), paths)
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
