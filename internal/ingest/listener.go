package ingest

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"time"
)

// headTimeout is the time for a head.
const headTimeout = 5 * time.Second

// Server returns the HTTP server of the public listener, with every bound that net/http has. It
// serves on a listener of h.Conns.
//
// It speaks HTTP/1.1 only, also with TLS: vendors send one delivery at a time and don't need HTTP/2.
// An HTTP/1.1 connection has one request at a time, so bounds on connections, time and heads suffice
// (ADR 12).
func (h *Handler) Server(logger *log.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		ErrorLog:          logger,
		ReadHeaderTimeout: headTimeout,
		MaxHeaderBytes:    maxHeadBytes, // net/http adds 4 KiB; the listener's own bound is met first
		// For the body, publishing and the answer, even if the sender doesn't read it.
		WriteTimeout: bodyTimeout + 10*time.Second,
		// Longer than any proxy keeps an idle connection (600 s). If we closed first, a delivery
		// that is just being sent would be lost.
		IdleTimeout:                  15 * time.Minute,
		DisableGeneralOptionsHandler: true, // OPTIONS * is not served either
		Protocols:                    protocols,
	}
}

// Listen returns a listener with bounded connections for the server, with TLS if config isn't nil; config
// must not offer HTTP/2. Listen wraps the server's handler, and sets its ConnContext and ConnState.
//
// If the handler verifies nothing, all answered connections count as refused. They are closed before
// unanswered ones, so that a new connection isn't closed before its request is read.
func (l *ConnLimiter) Listen(s *http.Server, inner net.Listener, config *tls.Config) net.Listener {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			c.(*conn).end()
		}
	}
	h := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r)
		defer c.held.release()
		c.begin(w, r)
		h.ServeHTTP(w, r)
	})
	return &listener{inner, l, config}
}

// connKey is the context's key for the connection of a request.
type connKey struct{}

// connOf returns a request's connection.
func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }

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

func (l *listener) Close() error {
	l.limiter.mu.Lock()
	l.limiter.stopped = true // Accept may wait for room
	l.limiter.changed.Broadcast()
	l.limiter.mu.Unlock()
	return l.Listener.Close()
}
