package inspect

import (
	"cmp"
	"context"
	"encoding/json"
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
	partTimeout   = time.Minute // for one part, over a slow connection
	maxRead       = 1_000_000   // messages
	maxFound      = 500         // matching messages
	maxFoundBytes = 8 << 20     // of them

	firstPart   = 1000 // sequence numbers
	largestPart = 100_000
	quickPart   = 500 * time.Millisecond // after a quicker one, the next part is larger
)

// found is what a search sends after each part.
type found struct {
	Events []shown   `json:"events"` // oldest first
	Read   int       `json:"read"`   // messages so far
	Share  float64   `json:"share"`  // of the sequence numbers that are searched, 0 to 1
	Before uint64    `json:"before"` // the least sequence number that is searched
	Time   time.Time `json:"time"`   // when the oldest message that was read was stored
}

// conclusion is the last message of a search.
type conclusion struct {
	Whole   bool   `json:"whole"`   // the stream is searched to its first message
	Problem string `json:"problem"` // a sentence on why the search failed; "": it did not
}

// problem is an error in words for the page.
type problem string

func (p problem) Error() string { return string(p) }

// search searches the stream for what the page's filter asks for, the newest messages first, and
// sends what it finds as server-sent events. It begins before the messages that the page holds, and
// ends with the request. It needs no more rights than a look-up: it makes consumers of its own
// under the same names.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	apis := s.searchAPIs()
	for _, api := range apis {
		s.rights.granted(api) // what was missing may have been granted meanwhile
	}
	go s.cancelIfHopeless(ctx, cancel, apis)
	w.Header().Set("Content-Type", "text/event-stream")
	out := &feedWriter{w: w, control: http.NewResponseController(w), readTimeout: s.readTimeout}
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-ctx.Done():
	}
	whole, err := s.searchParts(ctx, r, out)
	if r.Context().Err() != nil || out.err != nil {
		return
	}
	end := conclusion{Whole: whole}
	var inWords problem
	switch err = cmp.Or(context.Cause(ctx), err); {
	case errors.As(err, &inWords):
		end.Problem = string(inWords)
	case err != nil:
		end.Problem = s.explain(err, s.config.Stream, noStream)
	}
	text, _ := json.Marshal(end) // strings only
	out.event("end", "", text)
	_ = out.flush()
}

// searchParts searches part by part, and reports whether nothing is left.
func (s *Server) searchParts(ctx context.Context, r *http.Request, out *feedWriter) (whole bool, err error) {
	events, err := s.open(ctx, s.config.Stream)
	if err != nil {
		return false, err
	}
	info := events.CachedInfo()
	end, low := endOf(r, info), info.State.FirstSeq
	f := finder{server: s, query: newQuery(r.URL.Query()), made: info.Created}
	size := uint64(firstPart)
	for began, high := time.Now(), end; high > low; {
		if f.full || f.read >= maxRead || time.Since(began) > searchTimeout {
			return false, nil
		}
		partBegan := time.Now()
		p, err := f.search(ctx, max(low, high-min(high, size)), high)
		if err != nil {
			return false, err
		}
		high = p.from
		text, _ := json.Marshal(found{p.events, f.read, float64(end-high) / float64(end-low), high, f.oldest})
		out.event("found", "", text)
		if err := out.flush(); err != nil {
			return false, err
		}
		if time.Since(partBegan) < quickPart {
			size = min(2*size, largestPart)
		}
	}
	return true, nil
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

// searchAPIs returns the APIs that a search needs rights for.
func (s *Server) searchAPIs() []string {
	apis := []string{"STREAM.INFO." + s.config.Stream}
	for _, name := range stream.LookupNames {
		for _, api := range []string{"CONSUMER.CREATE.", "CONSUMER.MSG.NEXT."} {
			apis = append(apis, api+s.config.Stream+"."+name)
		}
	}
	return apis
}

// cancelIfHopeless ends a search while NATS is away or denies it, which would only look like
// silence.
func (s *Server) cancelIfHopeless(ctx context.Context, cancel context.CancelCauseFunc, apis []string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if !s.config.Conn.IsConnected() {
			cancel(problem(s.disconnected()))
		} else if what := s.rights.lacks(s.now(), apis...); what != "" {
			cancel(problem(noRight(what)))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
