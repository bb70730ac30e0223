package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

const (
	maxPages = 32
	// writeTimeout is how long a browser may not read before it is disconnected.
	writeTimeout = 10 * time.Second
	// feedInterval is how often a page gets new events, and stateEvery how many of these intervals
	// lie between two states.
	feedInterval = 50 * time.Millisecond
	stateEvery   = 20
)

// hello is the first message to a page.
type hello struct {
	Reset  bool   `json:"reset"`  // the page's events are of another process
	Missed uint64 `json:"missed"` // number of events since the page's last one that are no longer held
	Config
	Endpoint string `json:"endpoint"` // of the first provider, for a hint
	Secrets  string `json:"secrets"`  // the variable of its secrets
}

// feed sends a page the held events and then new ones, as server-sent events (WHATWG HTML, 9.2). A
// page has a place in the ring and no buffer of its own. It is disconnected if the event at its
// place is no longer held.
func (s *Server) feed(w http.ResponseWriter, r *http.Request) {
	if s.pages.Add(1) > maxPages {
		s.pages.Add(-1)
		http.Error(w, "Too many pages are open: close some.", http.StatusServiceUnavailable)
		return
	}
	defer s.pages.Add(-1)
	select {
	case s.opened <- struct{}{}:
	default:
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := feedWriter{w: w, control: http.NewResponseController(w), readTimeout: s.readTimeout}
	greeting, place := s.newHello(r)
	out.event("hello", "", greeting)
	tick := time.NewTicker(feedInterval)
	defer tick.Stop()
	for n := 0; out.err == nil; n++ {
		if n%stateEvery == 0 {
			out.event("state", "", s.state())
		}
		events, held := s.ring.after(place)
		if !held {
			return
		}
		if len(events) > 0 {
			place += uint64(len(events))
			out.event("events", s.boot+"-"+strconv.FormatUint(place, 10), events)
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// newHello returns the hello message and the place after which the page continues.
func (s *Server) newHello(r *http.Request) (h hello, place uint64) {
	h = hello{
		Reset: true, Config: s.config, Endpoint: providers.All[0].Name, Secrets: providers.All[0].Variable("SECRETS"),
	}
	before := s.ring.first() - 1
	place = before
	if number, ok := strings.CutPrefix(r.URL.Query().Get("after"), s.boot+"-"); ok {
		if known, err := strconv.ParseUint(number, 10, 64); err == nil {
			h.Reset = false
			place = max(known, before)
			h.Missed = place - known
		}
	}
	return h, place
}

// feedWriter writes server-sent events until its first error.
type feedWriter struct {
	w           http.ResponseWriter
	control     *http.ResponseController
	readTimeout time.Duration
	err         error
}

// event writes an event with a value as JSON, and with an id unless that is "".
func (f *feedWriter) event(name, id string, value any) {
	if f.err != nil {
		return
	}
	if f.err = f.control.SetWriteDeadline(time.Now().Add(f.readTimeout)); f.err != nil {
		return
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	text, _ := json.Marshal(value) // strings, numbers and times only
	_, f.err = fmt.Fprintf(f.w, "event: %s\n%sdata: %s\n\n", name, id, text)
	if f.err == nil {
		f.err = f.control.Flush()
	}
}
