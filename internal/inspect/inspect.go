// Package inspect serves a page that shows new events, the state of the stream, its consumers and
// the quarantine. It only reads.
//
// The page is for one person on one machine. The bridge that faces the internet doesn't serve it.
// It is served on loopback, under an address or localhost, and refuses requests that another site
// has made (see guard). Each open page reads the stream with a consumer of its own. The server holds
// few events in memory, and disconnects a browser that doesn't read them.
package inspect

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// Config describes what the page shows. The page gets it as JSON.
type Config struct {
	Stream   string `json:"stream"`   // of the events
	Prefix   string `json:"prefix"`   // of the events' subjects
	NATS     string `json:"nats"`     // the URL for snippets, without user and password
	Command  string `json:"command"`  // the name of this program, for hints
	Endpoint string `json:"endpoint"` // of an example of `bridge send`
	Secrets  string `json:"secrets"`  // the variable of its secrets
	Version  string `json:"version"`
}

// Server serves the page.
type Server struct {
	js     jetstream.JetStream
	conn   *nats.Conn // of js
	config Config
	denied stream.Denied // on conn

	pages    chan struct{}  // holds one value for each open page
	searches chan struct{}  // holds one value for each running search
	feeds    sync.WaitGroup // the goroutines of open pages
}

// New returns a server. Serve runs it.
func New(js jetstream.JetStream, c Config) *Server {
	s := &Server{
		js: js, conn: js.Conn(), config: c,
		pages: make(chan struct{}, maxPages), searches: make(chan struct{}, maxSearches),
	}
	s.conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			s.denied.Note(err)
		}
	})
	return s
}

const (
	headerTimeout = 5 * time.Second
	answerTimeout = time.Minute // except of feeds
)

// Serve serves the page until the context ends. The listener must be on loopback.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: headerTimeout, WriteTimeout: answerTimeout, MaxHeaderBytes: 16 << 10}
	defer s.feeds.Wait()
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // Shutdown would wait for feeds, which don't end
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/feed", s.feed)
	mux.HandleFunc("GET /api/search", s.search)
	mux.HandleFunc("GET /api/quarantine", s.quarantined)
	mux.HandleFunc("GET /vendors.css", vendors)
	mux.Handle("GET /", static())
	return guard(mux)
}

// consumerName is the prefix of the names of the page's own consumers.
const consumerName = "bridge-inspect-"

//go:embed static
var files embed.FS

// types are the files' content types. The system's may differ, and browsers are told not to guess.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

func static() http.Handler {
	for extension, kind := range types {
		_ = mime.AddExtensionType(extension, kind) // fails only for a malformed type
	}
	pages, _ := fs.Sub(files, "static") // fails only for a malformed path
	return http.FileServerFS(pages)
}

// vendors serves the style sheet with the providers' colours.
func vendors(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", types[".css"])
	for _, p := range providers.All {
		const name = ".name[data-provider=%q]::before"
		_, _ = fmt.Fprintf(w, name+" { background: %s; }\n@media (prefers-color-scheme: dark) { "+name+" { background: %s; } }\n",
			p.Name, p.Colour[0], p.Name, p.Colour[1])
	}
}
