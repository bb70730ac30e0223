package inspect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// vendors serves the style sheet with the providers' colours.
func vendors() http.Handler {
	var light, dark strings.Builder
	for _, p := range slices.Concat(providers.All, providers.Described) {
		const rule = ".name[data-provider=%q]::before { background: %s; }\n"
		fmt.Fprintf(&light, rule, p.Name, p.Colour.Light)
		fmt.Fprintf(&dark, rule, p.Name, p.Colour.Dark)
	}
	text := []byte(light.String() + "@media (prefers-color-scheme: dark) {\n" + dark.String() + "}\n")
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", types[".css"])
		_, _ = w.Write(text)
	})
}
