package inspect

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/quarantine"
)

// maxDeliveries is how many deliveries are listed, the newest.
const maxDeliveries = 200

// list returns the quarantined deliveries, newest first.
func (s *Server) list(ctx context.Context, kept jetstream.Stream) ([]quarantine.Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	store := quarantine.Store{JetStream: s.config.JetStream, Stream: kept, Consumer: consumerName}
	all, _, err := store.List(ctx, maxDeliveries)
	slices.Reverse(all)
	return all, err
}

// quarantined serves a delivery's body.
func (s *Server) quarantined(w http.ResponseWriter, r *http.Request) {
	sequence, err := strconv.ParseUint(r.URL.Query().Get("sequence"), 10, 64)
	if err != nil {
		http.Error(w, "The sequence must be a number.", http.StatusBadRequest)
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	kept, err := s.open(ctx, s.config.Quarantine)
	var m *jetstream.RawStreamMsg
	if err == nil {
		m, err = kept.GetMsg(ctx, sequence)
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		http.Error(w, "It is gone: somebody has released or dropped it, or newer deliveries have displaced it.", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, s.explainQuarantine(err, began), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", types[".txt"])
	_, _ = w.Write(m.Data) // as text, which nosniff holds browsers to
}
