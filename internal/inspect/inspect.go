// Package inspect serves a page that shows new events, the state of the stream, its consumers and
// the quarantine. It only reads.
//
// The page is for one person on one machine. The bridge that faces the internet doesn't serve it.
// It is served on loopback, under an address or localhost, and refuses requests that another site
// has made (see guard). The server holds a bounded number of events and waits for no browser: one
// that falls too far behind is disconnected, and reconnects by itself.
package inspect

import (
	"context"
	"crypto/rand"
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

// Config describes what the page shows. The page gets it as JSON.
type Config struct {
	Stream  string `json:"stream"`  // of the events
	Prefix  string `json:"prefix"`  // of the events' subjects
	NATS    string `json:"nats"`    // the URL for snippets, without user and password
	Command string `json:"command"` // the name of this program, for hints
	Version string `json:"version"`
}

// Server serves the page.
type Server struct {
	js     jetstream.JetStream
	conn   *nats.Conn // of js
	config Config
	boot   string // identifies this process, to which the places in the ring belong
	ring   *ring
	rights rights

	readTimeout time.Duration // after which a page that doesn't read is disconnected

	eventsProblem atomic.Pointer[string] // a sentence on why the stream can't be read now; "": it can
	polled        atomic.Pointer[state]  // what NATS last reported
	pages         atomic.Int32           // open pages
	opened        chan struct{}          // signals a new page
	deadNext      time.Time              // when poll may ask for dead letters
	searches      chan struct{}          // holds one value for each running search
}

// New returns a server. Serve runs it.
func New(js jetstream.JetStream, c Config) *Server {
	s := &Server{
		js: js, conn: js.Conn(), config: c, boot: rand.Text()[:8], ring: newRing(maxEvents, maxBytes),
		readTimeout: writeTimeout, opened: make(chan struct{}, 1),
		searches: make(chan struct{}, maxSearches),
	}
	s.conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.rights.note(err, time.Now()) })
	s.eventsProblem.Store(new("Starting."))
	s.polled.Store(&state{Consumers: []*jetstream.ConsumerInfo{}})
	return s
}

const (
	maxEvents     = 5000     // in the ring
	maxBytes      = 32 << 20 // of them
	initialEvents = 1000     // older events to show at the start

	headerTimeout = 5 * time.Second
	answerTimeout = time.Minute // except of feeds
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

	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: headerTimeout, WriteTimeout: answerTimeout, MaxHeaderBytes: 16 << 10}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // feeds never end by themselves
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

func (s *Server) read(ctx context.Context) {
	began := time.Now() // when this attempt to read began
	reader := stream.Reader{
		JetStream: s.js, Name: consumerName,
		Section: stream.Section{Stream: s.config.Stream, Subjects: []string{s.config.Prefix + ".>"}, Last: initialEvents},
		Handle: func(m stream.Message) error {
			s.ring.add(shownOf(m))
			return nil
		},
		Report: func(err error) {
			if errors.Is(err, stream.ErrRecreated) {
				return // the page sees it by the events
			}
			problem := s.explain(err, began, s.config.Stream, toRead(s.config.Stream, consumerName)...)
			s.eventsProblem.Store(&problem)
			began = time.Now()
		},
	}
	_ = reader.Run(ctx) // ends with the context
}

// consumerName is the prefix of the names of the page's own consumers.
const consumerName = "bridge-inspect-"
