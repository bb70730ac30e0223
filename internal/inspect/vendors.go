package inspect

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// vendors serves the style sheet with the providers' colours.
func vendors(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", types[".css"])
	for _, p := range slices.Concat(providers.All, providers.Described) {
		const name = ".name[data-provider=%q]::before"
		_, _ = fmt.Fprintf(w, name+" { background: %s; }\n@media (prefers-color-scheme: dark) { "+name+" { background: %s; } }\n",
			p.Name, p.Colour.Light, p.Name, p.Colour.Dark)
	}
}
