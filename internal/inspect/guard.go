package inspect

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// guard refuses requests that another site may have made.
//
//   - Host must be a loopback name. Any other belongs to a site that has its name resolve to this
//     machine (DNS rebinding), whose scripts would be of the same origin as the page.
//   - Another site's page may link here, but neither read nor embed anything.
//
// Clients other than browsers send none of these headers but Host.
func guard(address net.Addr, next http.Handler) http.Handler {
	hosts := hostsOf(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range securityHeaders {
			h.Set(name, value)
		}
		switch {
		case !slices.Contains(hosts, strings.ToLower(r.Host)):
			http.Error(w, "This is the page of `bridge inspect`. It answers to http://"+hosts[0]+"/ and to no other name.", http.StatusMisdirectedRequest)
		case !isOwn(r, hosts):
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

// hostsOf returns the values of Host that are accepted, the listener's first.
func hostsOf(address net.Addr) []string {
	host, port, _ := net.SplitHostPort(address.String())
	var hosts []string
	for _, name := range []string{host, "127.0.0.1", "localhost", "::1"} {
		hosts = append(hosts, net.JoinHostPort(name, port))
		if port == "80" {
			hosts = append(hosts, strings.TrimSuffix(net.JoinHostPort(name, port), ":80"))
		}
	}
	return hosts
}

// isOwn reports whether no other site has made the request. Browsers tell by Sec-Fetch-Site, older
// ones for some requests by Origin.
func isOwn(r *http.Request, hosts []string) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		host, ok := strings.CutPrefix(origin, "http://")
		if !ok || !slices.Contains(hosts, host) || host != r.Host {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	// A link to the page, opened in a window of its own.
	return r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
