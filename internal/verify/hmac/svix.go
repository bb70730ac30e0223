package hmac

import (
	"net/http"
	"strings"
)

// Vendors that send through Svix name the headers of Standard Webhooks in their own way.
const (
	standard      = "standard-webhooks"
	webhookPrefix = "Webhook-"
	svixPrefix    = "Svix-"
)

func svixNames(headers []string) (names []string) {
	for _, name := range headers {
		if part, ok := strings.CutPrefix(name, webhookPrefix); ok {
			names = append(names, svixPrefix+part)
		}
	}
	return names
}

// renamed returns the headers with the names of Standard Webhooks, if only Svix' signature is
// there.
func (s *scheme) renamed(h http.Header) http.Header {
	if !s.takesSvix || len(h[s.header]) > 0 || len(h[svixNames([]string{s.header})[0]]) == 0 {
		return h
	}
	h = h.Clone()
	for _, name := range svixNames(s.headers) {
		h[webhookPrefix+strings.TrimPrefix(name, svixPrefix)] = h[name]
	}
	return h
}
