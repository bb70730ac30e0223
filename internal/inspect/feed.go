package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

const (
	maxPages      = 32
	initialEvents = 1000    // stored events that a page gets first
	maxBatch      = 100     // events sent together
	maxBatchBytes = 1 << 20 // the last event may go beyond
	// writeTimeout is how long a browser may go without reading before it is disconnected.
	writeTimeout = 10 * time.Second
	stateEvery   = time.Second
)

// feed sends a page the configuration, the newest events, new ones as they come, and the state, as
// server-sent events (WHATWG HTML, 9.2). A page that connects again gets the newest ones again, and drops
// those that it has.
func (s *Server) feed(w http.ResponseWriter, r *http.Request) {
	select {
	case s.pages <- struct{}{}:
		defer func() { <-s.pages }()
	default:
		http.Error(w, "Too many pages are open: close some.", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	events, problems, states := make(chan item, maxBatch), make(chan string), make(chan state)
	s.feeds.Go(func() { s.read(ctx, events, problems) })
	s.feeds.Go(func() { s.poll(ctx, states) })

	w.Header().Set("Content-Type", "text/event-stream")
	err := s.send(w, "hello", s.config)
	now, problem := state{}, "Starting."
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case next := <-events:
			batch, size := []item{next}, next.Size
			for len(events) > 0 && len(batch) < maxBatch && size < maxBatchBytes {
				next = <-events
				batch, size = append(batch, next), size+next.Size
			}
			err = s.send(w, "events", batch)
			continue
		case problem = <-problems:
		case now = <-states:
		case <-tick.C:
		}
		now.Connected, now.EventsProblem = s.conn.IsConnected(), problem
		if !now.Connected {
			now.EventsProblem = s.disconnected()
		}
		err = s.send(w, "state", now)
	}
}

// read sends the newest events, and new ones as they come. It also sends why the stream can't be read, each
// time that this changes; "" if it can be read.
func (s *Server) read(ctx context.Context, events chan<- item, problems chan<- string) {
	began := time.Now() // when this attempt to read began
	reader := stream.Reader{
		JetStream: s.js, Name: consumerName,
		Section: stream.Section{Stream: s.config.Stream, Subjects: []string{s.config.Prefix + ".>"}, Last: initialEvents},
		Handle: func(m stream.Message) error {
			if m.IsMarker() {
				return nil
			}
			return give(ctx, events, newItem(m))
		},
		Report: func(err error) {
			if !errors.Is(err, stream.ErrRecreated) { // the page sees that in the events
				_ = give(ctx, problems, s.explain(err, began, s.config.Stream, stream.Requests(s.config.Stream, consumerName)...))
				began = time.Now()
			}
		},
	}
	_ = reader.Run(ctx) // ends with the context
}

// give sends a value on a channel, unless the context ends first.
func give[T any](ctx context.Context, to chan<- T, value T) error {
	select {
	case to <- value:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send sends a value as a server-sent event, in JSON.
func (s *Server) send(w http.ResponseWriter, name string, value any) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	text, _ := json.Marshal(value) // strings, numbers and times only
	if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return err
	}
	return control.Flush()
}

// item is a message of the stream in the page's JSON.
type item struct {
	Sequence      uint64       `json:"sequence"`
	StreamCreated time.Time    `json:"streamCreated"`
	Subject       string       `json:"subject"`
	Stored        time.Time    `json:"stored"`
	Size          int          `json:"size"`
	Headers       nats.Header  `json:"headers,omitempty"`
	Event         *event.Event `json:"event,omitempty"`   // without data
	Problem       string       `json:"problem,omitempty"` // why it can't be parsed as an event
	Payload       string       `json:"payload"`           // bytes that aren't UTF-8 are replaced
}

func newItem(m stream.Message) item {
	v := item{
		Sequence: m.Sequence, StreamCreated: m.StreamCreated, Subject: m.Subject(), Stored: m.Stored,
		Size: len(m.Data()), Headers: m.Headers(), Payload: strings.ToValidUTF8(string(m.Data()), "\uFFFD"),
	}
	if e, err := event.Parse(m.Data()); err != nil {
		v.Problem = err.Error()
	} else {
		e.Data = nil
		v.Event = &e
	}
	return v
}
