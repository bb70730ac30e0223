// Package inspect is the live page: what comes into the stream, one event whole, the state of the stream, its
// consumers and the quarantine. It reads, and changes nothing.
//
// It is for one person on one machine. The page answers on loopback only, to a browser that knows it by
// a loopback name and that no other site has sent (see guard); the bridge that faces the internet
// doesn't have it. It holds a bounded number of events, and waits for no browser: one that falls behind
// what is held is dropped, and comes back by itself.
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

// Config says what the page shows.
type Config struct {
	Conn       *nats.Conn
	JetStream  jetstream.JetStream
	Stream     string // of the events
	Quarantine string // the stream of the quarantine
	Prefix     string // begins the subjects of the events
	NATS       string // where NATS is, as the page's snippets name it: without user and password
	Command    string // how this program is called, for the page's hints
	Version    string
}

// Server serves the page.
type Server struct {
	config Config
	boot   string // of this process: the places in the ring are its own
	ring   *ring
	rate   *rate
	rights *rights
	now    func() time.Time

	patience time.Duration // that a page has when it doesn't read

	reading atomic.Pointer[error]  // why the stream can't be read just now; nil while it can
	seen    atomic.Pointer[seen]   // of NATS
	state   atomic.Pointer[[]byte] // the last that was made for the pages, as JSON
	pages   atomic.Int32           // that are open
	opened  chan struct{}          // a page was opened: look at once
}

// New returns a server, which shows something once it is run.
func New(c Config) *Server {
	s := &Server{
		config: c, boot: rand.Text()[:8], ring: newRing(mostEvents, mostBytes), rate: new(rate), rights: new(rights),
		now: time.Now, patience: writeTimeout, opened: make(chan struct{}, 1),
	}
	c.Conn.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.rights.note(err, s.now()) })
	starting := errors.New("starting")
	s.reading.Store(&starting)
	s.seen.Store(new(seen))
	return s
}

const (
	mostEvents = 5000     // that are held
	mostBytes  = 32 << 20 // of them
	atFirst    = 1000     // events before now that are shown

	headerTimeout   = 5 * time.Second
	shutdownTimeout = time.Second
	stateEvery      = time.Second
	lookEvery       = 2 * time.Second // at NATS, while a page is open
)

// Serve serves the page until the context ends. The listener must be on loopback.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { s.read(ctx) })
	background.Go(func() { s.look(ctx) })
	background.Go(func() { s.tell(ctx) })

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

// handler is the page and what it asks for.
func (s *Server) handler(address net.Addr) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/feed", s.feed)
	mux.HandleFunc("GET /api/payload", s.payload)
	mux.HandleFunc("GET /api/quarantine", s.quarantined)
	mux.Handle("GET /", static())
	mux.Handle("GET /vendors.css", vendors())
	return guard(address, mux)
}

// read reads the stream into the ring.
func (s *Server) read(ctx context.Context) {
	reader := stream.Reader{
		Conn: s.config.Conn, JetStream: s.config.JetStream, Name: consumerName,
		Section: stream.Section{Stream: s.config.Stream, Subjects: []string{s.config.Prefix + ".>"}, Last: atFirst},
		Handle: func(m stream.Message) error {
			s.rate.count(m.Stored, s.now())
			s.ring.add(func(place uint64) entry { return newEntry(place, m) })
			return nil
		},
		Report: func(err error) {
			switch {
			case err == nil:
				s.reading.Store(nil)
			case !errors.Is(err, stream.ErrMadeAnew): // the page sees that by its events
				s.reading.Store(&err)
			}
		},
	}
	_ = reader.Run(ctx) // ends with the context
}

// consumerName begins the names of the page's own consumers.
const consumerName = "bridge-inspect-"

// tell makes the state that the pages show, every second while there is one.
func (s *Server) tell(ctx context.Context) {
	for {
		if s.pages.Load() > 0 {
			state := s.describe()
			s.state.Store(&state)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(stateEvery):
		}
	}
}
