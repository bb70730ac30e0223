package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// The bounds of one request. The page has bounds for the whole of its search (static/search.js).
const (
	maxSearches   = 2 // at one time; others wait
	searchTimeout = 30 * time.Second
	maxPart       = 100_000 // sequence numbers
	maxFound      = 500     // matching messages
	maxFoundBytes = 8 << 20 // of them
)

var (
	errSlow = errors.New("NATS sent too little within half a minute; search again, or use `bridge tail --since`")
	errAway = errors.New("NATS was away; search again")
)

// part is the result of searching a part of the stream.
type part struct {
	Events        []item    `json:"events"` // that match, oldest first; if they are too many, the newest ones
	Read          int       `json:"read"`   // how many messages were read
	Time          time.Time `json:"time"`   // when the oldest of them was stored
	First         uint64    `json:"first"`  // the sequence number of the stream's first message
	Before        uint64    `json:"before"` // the lowest sequence number that was searched; the page continues before it
	StreamCreated time.Time `json:"streamCreated"`
	Problem       string    `json:"problem"` // a sentence on why the search failed; "": it did not

	query query
	bytes int // of the events
}

// search searches one part of the stream for messages that the page's filter selects. The page asks for one
// part after the other, the newest first. A search needs the rights of a look-up alone, because its
// consumers have the same names.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-r.Context().Done():
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(r.Context(), searchTimeout, errSlow)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	away := s.conn.StatusChanged(nats.RECONNECTING)
	defer s.conn.RemoveStatusListener(away)
	go func() {
		select {
		case <-away: // else the reader would wait until NATS is back
			end(errAway)
		case <-ctx.Done():
		}
	}()
	p := part{Events: []item{}, query: newQuery(r.URL.Query())}
	err := s.searchPart(ctx, &p, r.URL.Query())
	p.Problem = s.explain(err, began, s.config.Stream, stream.Requests(s.config.Stream, stream.LookupNames...)...)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p) // a page that has gone away needs no answer
}

// searchPart searches as many sequence numbers as the page asks for.
func (s *Server) searchPart(ctx context.Context, p *part, values url.Values) error {
	events, err := s.open(ctx, s.config.Stream)
	if err != nil {
		return err
	}
	info := events.CachedInfo()
	p.StreamCreated, p.First = info.Created, info.State.FirstSeq
	end := endOf(values, info)
	size, _ := strconv.ParseUint(values.Get("size"), 10, 64)
	p.Before = max(p.First, end-min(end, max(1, size), maxPart))
	r := stream.Reader{
		JetStream: s.js, Names: stream.LookupNames,
		Section: stream.Section{
			Stream: s.config.Stream, Subjects: []string{s.config.Prefix + ".>"}, First: p.Before, Before: end, Stop: true,
		},
		Handle: p.take, Denied: &s.denied,
	}
	return r.Run(ctx)
}

// endOf returns the sequence number before which the part ends: the page names it, unless the stream was
// created again.
func endOf(values url.Values, info *jetstream.StreamInfo) uint64 {
	end := info.State.LastSeq + 1
	before, err := strconv.ParseUint(values.Get("before"), 10, 64)
	if err != nil || values.Get("streamCreated") != info.Created.Format(time.RFC3339Nano) {
		return end
	}
	return min(end, before)
}

// take adds the next message of the part, if it matches.
func (p *part) take(m stream.Message) error {
	if !m.StreamCreated.Equal(p.StreamCreated) {
		return stream.ErrRecreated
	}
	for n := len(p.Events); n > 0 && p.Events[n-1].Sequence >= m.Sequence; n-- { // the reader repeats a message
		p.remove(n - 1)
	}
	p.Read++
	if p.Time.IsZero() || m.Stored.Before(p.Time) {
		p.Time = m.Stored
	}
	v := newItem(m)
	if m.IsMarker() || !p.query.matches(v) {
		return nil
	}
	p.Events = append(p.Events, v)
	p.bytes += v.Size
	for len(p.Events) > maxFound || len(p.Events) > 1 && p.bytes > maxFoundBytes {
		p.remove(0)
		p.Before = p.Events[0].Sequence
	}
	return nil
}

func (p *part) remove(i int) {
	p.bytes -= p.Events[i].Size
	p.Events = slices.Delete(p.Events, i, i+1)
}
