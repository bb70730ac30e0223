package hmac

import (
	"net/http"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Vendors that send through Svix have their own names for the headers of Standard Webhooks.
const (
	standard      = "standard-webhooks"
	webhookPrefix = "Webhook-"
	svixPrefix    = "Svix-"
)

// acceptsSvix reports whether the provider also takes Svix' headers.
func acceptsSvix(p *verify.Provider) bool {
	return p.Name == standard && strings.HasPrefix(p.Header, webhookPrefix)
}

// acceptSvix makes the provider read Svix' headers if only Svix' signature is there.
func acceptSvix(p *verify.Provider) {
	if !acceptsSvix(p) {
		return
	}
	p.Rename = func(h http.Header) http.Header {
		if len(h[p.Header]) > 0 || len(h[svixName(p.Header)]) == 0 {
			return h
		}
		h = h.Clone()
		for _, name := range p.Headers {
			if strings.HasPrefix(name, webhookPrefix) {
				h[name] = h[svixName(name)]
			}
		}
		return h
	}
}

func svixName(name string) string { return strings.Replace(name, webhookPrefix, svixPrefix, 1) }
