package hmac

import (
	"net/http"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Vendors that send through Svix name the headers of Standard Webhooks in their own way.
const (
	standard      = "standard-webhooks"
	webhookPrefix = "Webhook-"
	svixPrefix    = "Svix-"
)

// takeSvix lets the provider take the names of Svix, too, if only Svix' signature is there.
func takeSvix(p *verify.Provider) {
	if p.Name != standard || !strings.HasPrefix(p.Header, webhookPrefix) {
		return
	}
	names := make(map[string]string) // by Svix' name
	for _, name := range p.Headers {
		if part, ok := strings.CutPrefix(name, webhookPrefix); ok {
			names[svixPrefix+part] = name
		}
	}
	p.Rename = func(h http.Header) http.Header {
		if len(h[p.Header]) > 0 || len(h[svixPrefix+strings.TrimPrefix(p.Header, webhookPrefix)]) == 0 {
			return h
		}
		h = h.Clone()
		for svix, name := range names {
			h[name] = h[svix]
		}
		return h
	}
}
