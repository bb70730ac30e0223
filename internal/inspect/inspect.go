// Package inspect serves a page that shows new events, the state of the stream, its consumers and
// the quarantine. It only reads.
//
// The page is for one person on one machine. It answers on loopback, under a loopback name, to
// requests that no other site has made (see guard). The bridge that faces the internet doesn't
// serve it. It holds a bounded number of events and waits for no browser: one that falls too far
// behind is disconnected, and reconnects by itself.
package inspect

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// Config is what a [Server] needs.
type Config struct {
	Conn       *nats.Conn
	JetStream  jetstream.JetStream
	Stream     string // of the events
	Quarantine string // the stream of the quarantine
	Prefix     string // begins the subjects of the events
	NATS       string // the URL of NATS without user and password, for the page's snippets
	Command    string // the name of this program, for the page's hints
	Version    string
}

// Server serves the page.
type Server struct {
	config Config
	boot   string // identifies this process, to which the places in the ring belong
	ring   *ring
	rights *rights
	now    func() time.Time

	readTimeout time.Duration // how long a page may not read

	reading  atomic.Pointer[error]    // why the stream can't be read now; nil while it can
	snapshot atomic.Pointer[snapshot] // what NATS last reported
	state    atomic.Pointer[[]byte]   // what the pages show of that, as JSON
	pages    atomic.Int32             // open pages
	opened   chan struct{}            // signals a new page
	searches chan struct{}            // holds one for each search that runs
}

// New returns a server. Serve runs it.
func New(c Config) *Server {
	s := &Server{
		config: c, boot: rand.Text()[:8], ring: newRing(maxEvents, maxBytes), rights: new(rights),
		now: time.Now, readTimeout: writeTimeout, opened: make(chan struct{}, 1),
		searches: make(chan struct{}, maxSearches),
	}
	c.Conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.rights.note(err, s.now()) })
	starting := errors.New("starting")
	s.reading.Store(&starting)
	s.snapshot.Store(new(snapshot))
	return s
}

const (
	maxEvents     = 5000     // that are held
	maxBytes      = 32 << 20 // of them
	initialEvents = 1000     // older events that are shown at the start

	headerTimeout   = 5 * time.Second
	shutdownTimeout = time.Second
	stateInterval   = time.Second
	pollInterval    = 2 * time.Second // how often NATS is asked while a page is open
)

// Serve serves the page until the context ends. The listener must be on loopback.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { s.read(ctx) })
	background.Go(func() { s.poll(ctx) })
	background.Go(func() { s.updateState(ctx) })

	server := &http.Server{
		Handler: s.handler(listener.Addr()), ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, // feeds end with it
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, stop := context.WithTimeout(context.Background(), shutdownTimeout)
	defer stop()
	if server.Shutdown(stopping) != nil {
		_ = server.Close() // a browser that doesn't read
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler serves the page and its requests.
func (s *Server) handler(address net.Addr) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/feed", s.feed)
	mux.HandleFunc("GET /api/search", s.search)
	mux.HandleFunc("GET /api/quarantine", s.quarantined)
	mux.Handle("GET /", static())
	mux.Handle("GET /vendors.css", vendors())
	return guard(address, mux)
}

// read reads the stream into the ring.
func (s *Server) read(ctx context.Context) {
	reader := stream.Reader{
		Conn: s.config.Conn, JetStream: s.config.JetStream, Name: consumerName,
		Section: stream.Section{Stream: s.config.Stream, Subjects: []string{s.config.Prefix + ".>"}, Last: initialEvents},
		Handle: func(m stream.Message) error {
			v := shownOf(m)
			s.ring.add(func(place uint64) []byte {
				v.Place = place
				text, _ := json.Marshal(v) // strings and numbers only
				return text
			})
			return nil
		},
		Report: func(err error) {
			switch {
			case err == nil:
				s.reading.Store(nil)
			case !errors.Is(err, stream.ErrMadeAnew): // the page notices that from its events
				s.reading.Store(&err)
			}
		},
	}
	_ = reader.Run(ctx) // ends with the context
}

// consumerName starts the names of the page's own consumers.
const consumerName = "bridge-inspect-"

// updateState updates the state every second while a page is open.
func (s *Server) updateState(ctx context.Context) {
	for {
		if s.pages.Load() > 0 {
			state := s.describe()
			s.state.Store(&state)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(stateInterval):
		}
	}
}
