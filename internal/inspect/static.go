package inspect

import (
	"embed"
	"net/http"
	"path"
)

//go:embed static
var files embed.FS

// types are the files' content types: those of the machine may differ, and browsers are told not to
// guess.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// static serves the page's files.
func static(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path
	if name == "/" {
		name = "/index.html"
	}
	text, err := files.ReadFile("static" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	_, _ = w.Write(text) //nolint:gosec // an embedded file
}
