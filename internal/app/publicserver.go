package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// publicServer is the public listener with its HTTP server.
type publicServer struct {
	listener net.Listener
	server   *http.Server
	open     atomic.Int64 // connections
	silent   sync.Map     // the net.Conn of those that have sent nothing yet
}

// serveWith sets the server.
func (s *publicServer) serveWith(server *http.Server) {
	also := server.ConnState
	server.ConnState = func(c net.Conn, state http.ConnState) {
		also(c, state)
		switch state {
		case http.StateNew:
			s.open.Add(1)
			s.silent.Store(c, true)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
			s.silent.Delete(c)
		default:
			s.silent.Delete(c)
		}
	}
	s.server = server
}

func (s *publicServer) serve() error { return s.server.Serve(s.listener) }

// lastAnswer is how long an open connection may wait for one more answer, which asks its sender to
// connect anew.
const lastAnswer = time.Second

// stop closes the listener first. http.Server.Shutdown alone would close idle connections at once,
// and a delivery just being sent on one is lost if its sender never retries. So they get a moment
// to take one more answer, with Connection: close. That may use up the context; Shutdown gets at
// least minShutdown.
func (s *publicServer) stop(ctx context.Context, minShutdown time.Duration) error {
	_ = s.listener.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	over := time.After(lastAnswer)
wait:
	for s.open.Load() > 0 {
		select {
		case <-over:
			break wait
		case <-ctx.Done():
			break wait
		case <-tick.C:
		}
	}
	// Shutdown would wait 5 s for connections that have sent nothing. Load balancers open some in
	// advance.
	s.silent.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(time.Until(deadline), minShutdown))
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) { // it closes the listener again
		return err
	}
	return nil
}
