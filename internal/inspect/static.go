package inspect

import (
	"embed"
	"io/fs"
	"mime"
	"net/http"
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

// static returns the handler of the page's files.
func static() http.Handler {
	for extension, kind := range types {
		_ = mime.AddExtensionType(extension, kind) // fails for a malformed one only
	}
	pages, _ := fs.Sub(files, "static") // fails for a malformed path only
	return http.FileServerFS(pages)
}
