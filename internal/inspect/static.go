package inspect

import (
	"embed"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

//go:embed static
var files embed.FS

// types are the content types of the files. Those of the machine may differ, and browsers are told
// not to guess.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// static returns the handler of the page's files.
func static() http.Handler {
	for extension, kind := range types {
		_ = mime.AddExtensionType(extension, kind) // fails for a malformed one only
	}
	pages, _ := fs.Sub(files, "static") // fails for a malformed path only
	return http.FileServerFS(pages)
}

// vendors serves the style sheet with the providers' colours.
func vendors(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", types[".css"])
	for _, p := range slices.Concat(providers.All, providers.Described) {
		const name = ".name[data-provider=%q]::before"
		_, _ = fmt.Fprintf(w, name+" { background: %s; }\n@media (prefers-color-scheme: dark) { "+name+" { background: %s; } }\n",
			p.Name, p.Colour.Light, p.Name, p.Colour.Dark)
	}
}
