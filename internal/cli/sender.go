package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// sender signs deliveries and sends them.
type sender struct {
	endpoint config.Endpoint
	url      string // of the bridge; after setEndpoint, of the endpoint
	event    string // name; "": the vendor's first
	data     []byte // of every delivery; nil: generated for each
	body     []byte // of every delivery, except its times; nil: generated from data
	scheme   string // "": the endpoint's
	stale    bool   // date it so far back that the bridge must refuse it
	tamper   bool
	client   *http.Client
}

// setEndpoint sets the endpoint, and the defaults that depend on it.
func (s *sender) setEndpoint(endpoint config.Endpoint) {
	s.endpoint = endpoint
	s.event = cmp.Or(s.event, endpoint.Vendor.Events[0])
	s.scheme = cmp.Or(s.scheme, endpoint.Signature)
	to, _ := url.Parse(s.url) // it was checked; it may have the endpoint's path already
	if path := "/webhooks/" + endpoint.Name; !strings.HasSuffix(strings.TrimSuffix(to.Path, "/"), path) {
		s.url = to.JoinPath(path).String()
	}
}

// delivery returns the body of a new delivery, and the headers that sign it.
func (s *sender) delivery() (body []byte, header http.Header, err error) {
	vendor, at := s.endpoint.Vendor, time.Now()
	if s.stale {
		at = at.AddDate(-10, 0, 0)
	}
	id := fmt.Sprintf("%016x", rand.Uint64()) //nolint:gosec // it isn't a secret
	if body = s.body; body == nil {
		if body, err = vendor.NewBody(s.event, s.data, id); err != nil {
			return nil, nil, err
		}
	}
	if body, err = vendor.Renew(body, at); err != nil {
		return nil, nil, err
	}
	header, err = vendor.Sign(verify.Signing{
		Scheme: s.scheme, Key: s.endpoint.Secrets[0], Event: s.event, ID: id, Body: body, Time: at,
	})
	if err == nil && s.tamper {
		body = vendor.Tamper(body, s.scheme)
	}
	return body, header, err
}

func (s *sender) send(ctx context.Context) (answer, error) {
	body, header, err := s.delivery()
	switch {
	case err != nil && s.data != nil:
		return answer{}, usagef("--data: %w", err)
	case err != nil && s.body != nil:
		return answer{}, usagef("--body: %w", err)
	case err != nil:
		return answer{}, usageError{err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, usagef("--url: %w", err)
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	got, err := exchange(s.client, request)
	if err != nil {
		return answer{}, fmt.Errorf("sending: %w", withHint(err))
	}
	return got, nil
}

// endpointNamed returns the endpoint with this name, or an error if there is none: an endpoint without
// secrets isn't configured.
func endpointNamed(cfg *config.Config, name string) (config.Endpoint, error) {
	names := endpointsOf(cfg)
	if i := slices.Index(names, name); i >= 0 {
		return cfg.Endpoints[i], nil
	}
	variables, known := "ENDPOINTS_<i>_NAME, _PROVIDER and _SECRETS", ""
	if p := providers.ByName(name); p != nil {
		variables = p.Variable("SECRETS")
	}
	if names != nil {
		known = ", only for " + inWords(names, "and")
	}
	return config.Endpoint{}, usagef("no secret is known for endpoint %q%s: set %s as for `bridge serve`", name, known, variables)
}

func endpointsOf(cfg *config.Config) (names []string) {
	for _, e := range cfg.Endpoints {
		names = append(names, e.Name)
	}
	return names
}
