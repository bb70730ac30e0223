package inspect

import (
	"net/http"

	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// guard refuses requests that another site may have made.
//
//   - Host must be an address or localhost. A site could have any other name resolve to this machine
//     (DNS rebinding), and its scripts would then have the page's origin.
//   - Another site's page may link here, but neither read nor embed anything.
//
// Clients other than browsers send neither Origin nor Sec-Fetch-Site.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range securityHeaders {
			h.Set(name, value)
		}
		switch {
		case !telemetry.IsAddress(r.Host):
			http.Error(w, "This is the page of `bridge inspect`. It answers only to localhost and to addresses such as 127.0.0.1.",
				http.StatusMisdirectedRequest)
		case !isOwn(r):
			http.Error(w, "This is the page of `bridge inspect`. Other sites may not read it.", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// securityHeaders are on every answer. The page loads nothing from elsewhere and has no inline
// scripts or styles, so the policy needs no exceptions.
var securityHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cache-Control":                "no-store",
}

// isOwn reports whether the request is not another site's. Browsers send Sec-Fetch-Site; older ones send
// Origin with some requests.
func isOwn(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	// A link to the page, opened in a window of its own.
	return r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
