package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

const (
	mostPages = 32
	// writeTimeout is how long a browser may not read before it is dropped.
	writeTimeout = 10 * time.Second
	// together is how long events are gathered before they are sent.
	together = 50 * time.Millisecond
)

// hello is the first that a page is told.
type hello struct {
	Boot       string `json:"boot"`
	Reset      bool   `json:"reset"`  // forget what you have: it is of another process
	Missed     uint64 `json:"missed"` // so many came since you were last here and are no longer held
	Stream     string `json:"stream"`
	Quarantine string `json:"quarantine"`
	Prefix     string `json:"prefix"`
	NATS       string `json:"nats"`
	Command    string `json:"command"`
	Endpoint   string `json:"endpoint"` // of the first provider, for the page's hint
	Secrets    string `json:"secrets"`  // the variable of its secrets
	Version    string `json:"version"`
}

// feed sends a page what is held and then what comes, as server-sent events (WHATWG HTML, 9.2). The page has
// a place in the ring and nothing of its own that could fill up: if its place isn't held any more when
// it could be sent on, it is dropped.
func (s *Server) feed(w http.ResponseWriter, r *http.Request) {
	if s.pages.Add(1) > mostPages {
		s.pages.Add(-1)
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer s.pages.Add(-1)
	select {
	case s.opened <- struct{}{}:
	default:
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := feedWriter{w: w, control: http.NewResponseController(w), patience: s.patience}
	greeting, place := s.greet(r)
	out.event("hello", "", greeting)
	state, told := s.describe(), (*[]byte)(nil)
	for {
		texts, last, more, held := s.ring.after(place)
		if !held {
			return
		}
		if len(texts) > 0 {
			place = last
			out.event("events", s.boot+"-"+strconv.FormatUint(place, 10), slice(texts))
		}
		if state != nil {
			out.event("state", "", state)
		}
		if out.flush() != nil {
			return
		}
		if more != nil {
			s.await(r, more)
		}
		if r.Context().Err() != nil {
			return
		}
		if latest := s.state.Load(); latest != told {
			state, told = *latest, latest
		} else {
			state = nil
		}
	}
}

// await waits for more, a little longer for more of it, or until there may be a state to be told.
func (s *Server) await(r *http.Request, more <-chan struct{}) {
	tick := time.NewTimer(stateEvery)
	defer tick.Stop()
	select {
	case <-r.Context().Done():
	case <-tick.C:
	case <-more:
		select {
		case <-r.Context().Done():
		case <-time.After(together):
		}
	}
}

// greet says where a page goes on that was here before.
func (s *Server) greet(r *http.Request) (text []byte, place uint64) {
	h := hello{
		Boot: s.boot, Reset: true, Stream: s.config.Stream, Quarantine: s.config.Quarantine, Prefix: s.config.Prefix,
		NATS: s.config.NATS, Command: s.config.Command, Version: s.config.Version,
		Endpoint: providers.All[0].Name, Secrets: providers.All[0].Variable("SECRETS"),
	}
	before := s.ring.first() - 1
	place = before
	last := r.Header.Get("Last-Event-ID") // of a browser that comes back by itself
	if last == "" {
		last = r.URL.Query().Get("after")
	}
	if number, ok := strings.CutPrefix(last, s.boot+"-"); ok {
		if known, err := strconv.ParseUint(number, 10, 64); err == nil {
			h.Reset = false
			place = max(known, before)
			h.Missed = place - known
		}
	}
	text, _ = json.Marshal(h) // strings and numbers only
	return text, place
}

// slice is a JSON array.
func slice(texts [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(texts, []byte{','})...), ']')
}

// feedWriter writes server-sent events. After its first error it writes none.
type feedWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	err      error
}

func (f *feedWriter) event(name, id string, data []byte) {
	if f.err != nil {
		return
	}
	if f.err = f.control.SetWriteDeadline(time.Now().Add(f.patience)); f.err != nil {
		return
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, f.err = fmt.Fprintf(f.w, "event: %s\n%sdata: %s\n\n", name, id, data) //nolint:gosec // JSON, which no browser takes for HTML
}

func (f *feedWriter) flush() error {
	if f.err == nil {
		f.err = f.control.Flush()
	}
	return f.err
}

// payload returns a payload that is too large to be sent to every page.
func (s *Server) payload(w http.ResponseWriter, r *http.Request) {
	number, ok := strings.CutPrefix(r.URL.Query().Get("place"), s.boot+"-")
	place, err := strconv.ParseUint(number, 10, 64)
	text, held := s.ring.payload(place)
	if !ok || err != nil || !held {
		http.Error(w, "the page no longer holds it", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text) // as text, which nosniff holds browsers to
}
