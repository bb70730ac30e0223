package hmac

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Vendors that send through Svix have their own names for the headers of Standard Webhooks.
const (
	standard      = "standard-webhooks"
	webhookPrefix = "Webhook-"
	svixPrefix    = "Svix-"
)

// svixName returns Svix' name of a header; "" if the provider doesn't take it by another name.
func (s *scheme) svixName(name string) string {
	if s.Name != standard || !strings.HasPrefix(s.Header, webhookPrefix) || !strings.HasPrefix(name, webhookPrefix) {
		return ""
	}
	return svixPrefix + name[len(webhookPrefix):]
}

// acceptSvix makes the provider read Svix' headers if only Svix' signature is there. A header that
// comes by both names must have one value: nothing tells which one counts.
func (s *scheme) acceptSvix() {
	var names [][2]string // the signature's first
	for _, name := range s.Headers {
		if svix := s.svixName(name); svix != "" {
			names = append(names, [2]string{name, svix})
		}
	}
	if names == nil {
		return
	}
	s.Rename = func(h http.Header) (http.Header, error) {
		for _, n := range names {
			if values, svix := h[n[0]], h[n[1]]; len(values) > 0 && len(svix) > 0 && !slices.Equal(values, svix) {
				return h, fmt.Errorf("%w: %s and %s differ", verify.ManySignatures, n[0], n[1])
			}
		}
		if len(h[s.Header]) > 0 || len(h[names[0][1]]) == 0 {
			return h, nil
		}
		h = maps.Clone(h)
		for _, n := range names {
			h[n[0]] = h[n[1]]
		}
		return h, nil
	}
}
