package diagnosis

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// ErrEndpoint is the error of a delivery of which can't be told which endpoint it is for.
var ErrEndpoint = errors.New("it can't be told for which endpoint the delivery is: neither its path nor its body says")

// findEndpoint chooses the endpoint: the one that is named, or the one in the path, or the one whose vendor writes
// such bodies, or the only one.
func (d *diagnosing) findEndpoint() error {
	named := func(name string) bool {
		i := slices.IndexFunc(d.Endpoints, func(e Endpoint) bool { return e.Name == name })
		if i >= 0 {
			d.at = d.Endpoints[i]
		}
		return i >= 0
	}
	if d.At != "" {
		if !named(d.At) {
			return ErrEndpoint
		}
		return nil
	}
	segments := strings.Split(d.path(), "/")
	slices.Reverse(segments)
	if slices.ContainsFunc(segments, named) {
		return nil
	}
	var fitting []Endpoint
	shape := shapeOf(d.Delivery.Body)
	for _, e := range d.Endpoints {
		if e.Provider.Name == shape {
			fitting = append(fitting, e)
		}
	}
	switch {
	case len(fitting) == 1:
		d.at = fitting[0]
	case len(d.Endpoints) == 1:
		d.at = d.Endpoints[0]
	default:
		return ErrEndpoint
	}
	return nil
}

// path is the path that the request asks for, "" where the capture doesn't show it.
func (d *diagnosing) path() string {
	u, err := url.ParseRequestURI(d.Delivery.Target) // as net/http does: to url.Parse //a/b is host a
	if err != nil {
		return d.Delivery.Target
	}
	return u.EscapedPath()
}

// shapeOf is the provider whose bodies look so, "" where it is none's or more than one's.
func shapeOf(body []byte) string {
	text, err := stringify.Parse(body)
	if err != nil {
		return ""
	}
	shape := ""
	for _, p := range providers.All {
		isOther := slices.ContainsFunc(p.Marks, func(name string) bool { return text.Member(name) == nil })
		switch {
		case isOther:
		case shape != "":
			return ""
		default:
			shape = p.Name
		}
	}
	return shape
}
