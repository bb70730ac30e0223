package diagnosis

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// ErrEndpoint means that the endpoint of a delivery is unknown.
var ErrEndpoint = errors.New("the endpoint is unknown: neither the request's path nor the body shows it")

// findEndpoint chooses the endpoint: the one that is named, else the one in the path, else the only
// one for the vendor of such bodies, else the only one.
func (d *diagnoser) findEndpoint() error {
	names := []string{d.EndpointName}
	if d.EndpointName == "" {
		names = strings.Split(d.path(), "/")
	}
	for _, name := range slices.Backward(names) {
		if i := slices.IndexFunc(d.Endpoints, func(e Endpoint) bool { return e.Name == name }); i >= 0 {
			d.endpoint = d.Endpoints[i]
			return nil
		}
	}
	if d.EndpointName != "" {
		return ErrEndpoint
	}
	shape := shapeOf(d.Delivery.Body)
	fitting := slices.DeleteFunc(slices.Clone(d.Endpoints), func(e Endpoint) bool { return e.Provider.Name != shape })
	for _, list := range [][]Endpoint{fitting, d.Endpoints} {
		if len(list) == 1 {
			d.endpoint = list[0]
			return nil
		}
	}
	return ErrEndpoint
}

// path returns the request's path; "" if the capture has none.
func (d *diagnoser) path() string {
	u, err := url.ParseRequestURI(d.Delivery.Target) // as net/http does; url.Parse takes //a/b for host a
	if err != nil {
		return d.Delivery.Target
	}
	return u.EscapedPath()
}

// shapeOf returns the name of the only provider whose bodies look like this one; "": none or
// several.
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
