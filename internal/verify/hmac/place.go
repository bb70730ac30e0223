package hmac

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

const (
	maxPath   = 8 // names in a path
	maxPlaces = 4 // places in one setting
)

// parsePlace reads header:Name or body:path, and adds the path.
func parsePlace(text string, paths *verify.Paths) (p part, err error) {
	if name, ok := strings.CutPrefix(text, "header:"); ok {
		p.kind = header
		p.text, err = headerName(name)
		return p, err
	}
	path, ok := strings.CutPrefix(text, "body:")
	switch names := strings.Split(path, "."); {
	case !ok:
		return part{}, fmt.Errorf("%q is neither header:Name nor body:path", text)
	case len(names) > maxPath:
		return part{}, fmt.Errorf("the path has more than %d names", maxPath)
	case slices.Contains(names, ""):
		return part{}, errors.New("a name of the path is missing")
	}
	return part{kind: member, path: paths.Add(path, verify.Any)}, nil
}

// parsePlaces reads a list of places. The first that a delivery has counts.
func parsePlaces(list string, paths *verify.Paths) (all []part, err error) {
	if list == "" {
		return nil, nil
	}
	position := 1
	for text := range strings.SplitSeq(list, ",") {
		p, err := parsePlace(strings.TrimSpace(text), paths)
		switch {
		case err != nil:
			return nil, atCharacter(position, err)
		case len(all) == maxPlaces:
			return nil, fmt.Errorf("there are more than %d", maxPlaces)
		}
		all = append(all, p)
		position += len(text) + 1
	}
	return all, nil
}
