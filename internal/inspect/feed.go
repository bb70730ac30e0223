package inspect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

const (
	maxPages = 32
	// writeTimeout is how long a browser may go without reading before it is disconnected.
	writeTimeout = 10 * time.Second
	// A page gets new events every feedInterval, and the state every stateEvery intervals.
	feedInterval = 50 * time.Millisecond
	stateEvery   = 20
)

// hello is the first message to a page.
type hello struct {
	Reset  bool   `json:"reset"`  // the page's events are of another process
	Missed uint64 `json:"missed"` // how many events after the page's last one are no longer held
	Boot   string `json:"boot"`
	Place  uint64 `json:"place"` // the page's events continue after it
	Config
	Endpoint string `json:"endpoint"` // of the first provider, for a hint
	Secrets  string `json:"secrets"`  // the variable of its secrets
}

// feed sends a page the events in the ring and then new ones, as server-sent events (WHATWG HTML,
// 9.2). A page has a place in the ring and no buffer of its own. It is disconnected if the next event
// is no longer in the ring.
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
	greeting := s.newHello(r)
	place, err := greeting.Place, s.send(w, "hello", greeting)
	tick := time.NewTicker(feedInterval)
	defer tick.Stop()
	for n := 0; err == nil; n++ {
		if n%stateEvery == 0 {
			err = s.send(w, "state", s.state())
		}
		events, held := s.ring.after(place)
		if !held {
			return
		}
		if len(events) > 0 && err == nil {
			place += uint64(len(events))
			err = s.send(w, "events", events)
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// newHello returns the hello message. A page that reconnects sends its boot and place.
func (s *Server) newHello(r *http.Request) hello {
	h := hello{
		Reset: true, Boot: s.boot, Place: s.ring.first() - 1,
		Config: s.config, Endpoint: providers.All[0].Name, Secrets: providers.All[0].Variable("SECRETS"),
	}
	values := r.URL.Query()
	if known, err := strconv.ParseUint(values.Get("place"), 10, 64); err == nil && values.Get("boot") == s.boot {
		h.Reset = false
		h.Missed = max(known, h.Place) - known
		h.Place = known + h.Missed
	}
	return h
}

// send sends a value as a server-sent event, in JSON.
func (s *Server) send(w http.ResponseWriter, name string, value any) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(s.readTimeout)); err != nil {
		return err
	}
	text, _ := json.Marshal(value) // strings, numbers and times only
	if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return err
	}
	return control.Flush()
}
