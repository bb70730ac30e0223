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
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// maxDeliveries is how many deliveries are listed: the newest ones.
const maxDeliveries = 200

func (s *Server) store(ctx context.Context) (store quarantine.Store, err error) {
	kept, err := s.open(ctx, quarantine.Stream(s.config.Stream))
	return quarantine.Store{JetStream: s.js, Stream: kept, Consumer: consumerName}, err
}

// pollQuarantine sets the quarantine's state. It lists deliveries only if they may have changed.
func (s *Server) pollQuarantine(ctx context.Context, v *state, last state) {
	began := time.Now()
	store, err := s.store(ctx)
	if err == nil {
		v.Quarantine, v.Deliveries = store.Stream.CachedInfo(), last.Deliveries
		if last.QuarantineProblem != "" || !isSame(last.Quarantine, v.Quarantine) {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			v.Deliveries, _, err = store.List(ctx, maxDeliveries)
			slices.Reverse(v.Deliveries)
		}
	}
	v.QuarantineProblem = s.explainQuarantine(err, began)
}

// isSame reports whether a stream holds the same messages as before.
func isSame(before, now *jetstream.StreamInfo) bool {
	return before != nil && before.Created.Equal(now.Created) &&
		before.State.LastSeq == now.State.LastSeq && before.State.Msgs == now.State.Msgs
}

func (s *Server) explainQuarantine(err error, began time.Time) string {
	name := quarantine.Stream(s.config.Stream)
	apis := append(stream.Requests(name, consumerName), "DIRECT.GET."+name+".", "STREAM.MSG.GET."+name+".")
	return s.explain(err, began, name, apis...)
}

// quarantined serves a delivery's body.
func (s *Server) quarantined(w http.ResponseWriter, r *http.Request) {
	k := quarantine.Kept{Delivery: quarantine.Delivery{ID: r.URL.Query().Get("id")}}
	var err error
	if k.Sequence, err = strconv.ParseUint(r.URL.Query().Get("sequence"), 10, 64); err != nil {
		http.Error(w, "The sequence must be a number.", http.StatusBadRequest)
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	var d quarantine.Delivery
	store, err := s.store(ctx)
	if err == nil {
		d, err = store.Get(ctx, k)
	}
	switch {
	case errors.Is(err, quarantine.ErrGone):
		http.Error(w, "It is gone: somebody has released or dropped it, or newer deliveries have pushed it out.", http.StatusNotFound)
	case err != nil:
		http.Error(w, s.explainQuarantine(err, began), http.StatusBadGateway)
	default:
		w.Header().Set("Content-Type", types[".txt"])
		_, _ = w.Write(d.Body) // text, and nosniff keeps browsers from guessing otherwise
	}
}
