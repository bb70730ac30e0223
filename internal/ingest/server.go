package ingest

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"time"
)

// Server returns the HTTP server of the public listener, with every bound that net/http has. Whoever needs ConnState
// calls the one that is set, too.
//
// It speaks HTTP/1.1 only, under TLS as well, where it doesn't offer h2: a vendor sends one delivery at a time, and has
// nothing of streams. Without them a connection is one request, and the bounds on connections, time and heads are all
// there is to bound; resets by the thousand, floods of settings and windows of data nobody has read yet don't exist (ADR 12).
func (h *Handler) Server(logger *log.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s := &http.Server{
		Handler:           h,
		ErrorLog:          logger,
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    maxHeadBytes, // net/http adds 4 KiB; the listener's own bound is met first
		// Covers body, publish and answer; a sender that doesn't read holds nothing for longer.
		WriteTimeout: bodyTimeout + 10*time.Second,
		// Longer than any proxy keeps a connection it isn't using (600 s): the side that closes
		// first must be the sender's, or a delivery that crosses the close is lost.
		IdleTimeout:                  15 * time.Minute,
		DisableGeneralOptionsHandler: true, // OPTIONS * is one more path that isn't served
		Protocols:                    protocols,
	}
	h.conns.Attach(s)
	return s
}

// Limit returns the listener with its connections and their heads bounded, for the server of [Handler.Server]. With a
// configuration it is one of TLS.
func (h *Handler) Limit(l net.Listener, config *tls.Config) net.Listener {
	return h.conns.Listen(l, config)
}

// Connections returns how many are open, and how many were closed until now to admit others.
func (h *Handler) Connections() (open int, dropped int64) { return h.conns.Connections() }
