package inspect

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// A search ends at one of these bounds; the page may go on from there.
const (
	maxSearches   = 2 // at one time; others wait
	searchTimeout = 30 * time.Second
	maxRead       = 1_000_000 // messages
	maxFound      = 500       // matching messages
	maxFoundBytes = 8 << 20   // of them
)

var (
	errSilent = errors.New("NATS doesn't answer")
	errSlow   = errors.New("NATS sent too little within half a minute; search again, or use `bridge tail --since`")
)

// conclusion is the last message of a search.
type conclusion struct {
	Whole   bool   `json:"whole"`   // the stream is searched to its first message
	Problem string `json:"problem"` // a sentence on why the search failed; "": it did not
}

// search searches the stream for what the page's filter asks for, the newest messages first, and
// sends what it finds as server-sent events. It begins before the messages that the page holds, and
// ends with the request. It needs no more rights than a look-up: it makes consumers of its own
// under the same names.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-r.Context().Done():
		return
	}
	began := time.Now()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, searchTimeout, errSlow)
	defer stop()
	apis := []string{"STREAM.INFO." + s.config.Stream}
	for _, name := range stream.LookupNames {
		apis = append(apis, "CONSUMER.CREATE."+s.config.Stream+"."+name, "CONSUMER.MSG.NEXT."+s.config.Stream+"."+name)
	}
	go stream.EndWhen(ctx, cancel, func() error { // a missing right would only look like silence
		if !s.config.Conn.IsConnected() || s.rights.lacks(began, apis) != "" {
			return errSilent
		}
		return nil
	})
	out := s.newFeedWriter(w)
	f := finder{server: s, query: newQuery(r.URL.Query())}
	whole, err := f.find(ctx, r, out)
	if err = cmp.Or(context.Cause(ctx), err); errors.Is(err, errSlow) && f.Share > 0 {
		err = nil // the page may go on from where it is
	}
	out.event("end", "", conclusion{whole, s.explain(err, began, s.config.Stream, noStream, apis...)})
}

// endOf returns the sequence number before which the search begins: that of the oldest message that
// the page holds, if it is of the same stream.
func endOf(r *http.Request, info *jetstream.StreamInfo) uint64 {
	end := info.State.LastSeq + 1
	before, err := strconv.ParseUint(r.URL.Query().Get("before"), 10, 64)
	if err != nil || r.URL.Query().Get("made") != strconv.FormatInt(info.Created.UnixNano(), 10) {
		return end
	}
	return min(end, before)
}
