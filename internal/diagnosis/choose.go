package diagnosis

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// ErrEndpoint is the error of a delivery to an unknown endpoint.
var ErrEndpoint = errors.New("the endpoint is unknown: neither the request's path nor the body tells it")

// findEndpoint chooses the endpoint: the one that is named, else that of the path, else that of the
// vendor which sends such bodies, else the only one.
func (d *diagnoser) findEndpoint() error {
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

// path returns the request's path, "" if the capture doesn't show it.
func (d *diagnoser) path() string {
	u, err := url.ParseRequestURI(d.Delivery.Target) // as net/http does: to url.Parse //a/b is host a
	if err != nil {
		return d.Delivery.Target
	}
	return u.EscapedPath()
}

// shapeOf returns the name of the one provider whose bodies look so, else "".
func shapeOf(body []byte) string {
	text, err := stringify.Parse(body)
	if err != nil {
		return ""
	}
	shape := ""
	for _, p := range providers.All {
		if slices.ContainsFunc(p.Marks, func(name string) bool { return text.Member(name) == nil }) {
			continue
		}
		if shape != "" {
			return ""
		}
		shape = p.Name
	}
	return shape
}
