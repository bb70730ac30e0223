package ingest

import (
	"log"
	"net/http"
	"time"
)

// Server returns the HTTP server of the public listener, with every bound that net/http has.
func (h *Handler) Server(logger *log.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ErrorLog:          logger,
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		// Covers body, publish and answer; a sender that doesn't read holds nothing for longer.
		WriteTimeout: bodyTimeout + 10*time.Second,
		// Longer than any proxy keeps a connection it isn't using (600 s): the side that closes
		// first must be the sender's, or a delivery that crosses the close is lost.
		IdleTimeout:                  15 * time.Minute,
		DisableGeneralOptionsHandler: true, // OPTIONS * is one more path that isn't served
	}
}
