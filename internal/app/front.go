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

// front is the public listener with its server.
type front struct {
	listener net.Listener
	server   *http.Server
	open     atomic.Int64 // connections
	silent   sync.Map     // of those, the net.Conn that have sent nothing yet
}

// serveWith sets the server.
func (f *front) serveWith(server *http.Server) {
	also := server.ConnState
	server.ConnState = func(c net.Conn, state http.ConnState) {
		also(c, state)
		switch state {
		case http.StateNew:
			f.open.Add(1)
			f.silent.Store(c, true)
		case http.StateClosed, http.StateHijacked:
			f.open.Add(-1)
			f.silent.Delete(c)
		default:
			f.silent.Delete(c)
		}
	}
	f.server = server
}

func (f *front) serve() error { return f.server.Serve(f.listener) }

// lastAnswer is how long an open connection may wait for its next answer, which asks its sender to
// take another one.
const lastAnswer = time.Second

// stop closes the listener first. http.Server's Shutdown alone would at once close connections that
// are idle just now; a delivery that crosses the close is lost where the sender never retries. They
// get a moment to take one more answer, with Connection: close. That moment may use up the context:
// closing has as long as least in any case.
func (f *front) stop(ctx context.Context, least time.Duration) error {
	_ = f.listener.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	over := time.After(lastAnswer)
wait:
	for f.open.Load() > 0 {
		select {
		case <-over:
			break wait
		case <-ctx.Done():
			break wait
		case <-tick.C:
		}
	}
	// Shutdown would give 5 s more to connections that have sent nothing: a load balancer's, mostly,
	// which opens some in advance.
	f.silent.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(time.Until(deadline), least))
	defer cancel()
	if err := f.server.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) { // it closes the listener again
		return err
	}
	return nil
}
