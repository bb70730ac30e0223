package ingest

import (
	"log"
	"net/http"
	"time"
)

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
		ReadHeaderTimeout: 5 * time.Second,
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
