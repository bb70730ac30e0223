package ingest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// Listen returns a listener with bounded connections for the server, with TLS if config isn't nil. It
// sets the server's ConnContext and ConnState.
func (l *ConnLimiter) Listen(s *http.Server, inner net.Listener, config *tls.Config) net.Listener {
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"http/1.1"}
	}
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			c.(*conn).end()
		}
	}
	return &listener{inner, l, config}
}

// connKey is the context's key for the connection of a request.
type connKey struct{}

// connOf returns a request's connection.
func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }

// Handler wraps the handler of a listener without deliveries. There the oldest answered connection is
// closed first: if answered ones were kept longer, a new one would be closed before its request is read.
func (l *ConnLimiter) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r)
		defer c.held.release()
		c.begin(w, r.ContentLength)
		h.ServeHTTP(w, r)
	})
}

type listener struct {
	net.Listener
	limiter *ConnLimiter
	config  *tls.Config
}

// Accept waits for a connection and makes room for it.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := newConn(inner, l.limiter)
	if l.config != nil {
		c.handshake = &handshake{Conn: c.raw, left: maxHandshake}
		c.Conn = tls.Server(c.handshake, l.config)
	}
	l.limiter.admit(c)
	return c, nil
}

// Close closes the listener.
func (l *listener) Close() error {
	l.limiter.mu.Lock()
	l.limiter.stopped = true // Accept may wait for room
	l.limiter.changed.Broadcast()
	l.limiter.mu.Unlock()
	return l.Listener.Close()
}
