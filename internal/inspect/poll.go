package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// state is the last reported state of NATS. The problems are sentences for people, or "".
type state struct {
	Connected         bool                      `json:"connected"`
	EventsProblem     string                    `json:"eventsProblem"` // why there are no new events
	Stream            *jetstream.StreamInfo     `json:"stream"`
	Consumers         []*jetstream.ConsumerInfo `json:"consumers"`
	MoreConsumers     int                       `json:"moreConsumers"` // that are not listed
	ConsumersProblem  string                    `json:"consumersProblem"`
	Dead              *deadLetters              `json:"dead"` // nil: none
	Quarantine        *jetstream.StreamInfo     `json:"quarantine"`
	Deliveries        []quarantine.Kept         `json:"deliveries"` // in quarantine, newest first
	QuarantineProblem string                    `json:"quarantineProblem"`
}

const (
	pollInterval   = 2 * time.Second
	requestTimeout = 2 * time.Second
	maxConsumers   = 200
)

func (s *Server) poll(ctx context.Context, states chan<- state) {
	var last state
	for {
		if s.conn.IsConnected() {
			last = s.pollOnce(ctx, last)
		}
		if give(ctx, states, last) != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// pollOnce returns the new state. It keeps the last list of deliveries if the quarantine hasn't changed.
func (s *Server) pollOnce(ctx context.Context, last state) (v state) {
	began := time.Now()
	events, err := s.open(ctx, s.config.Stream)
	if err == nil {
		v.Stream = events.CachedInfo()
		v.Consumers, v.MoreConsumers, err = s.consumers(ctx, events)
	}
	v.ConsumersProblem = s.explain(err, began, s.config.Stream,
		"CONSUMER.LIST."+s.config.Stream+".", "STREAM.INFO."+s.config.Stream+".")
	s.pollQuarantine(ctx, &v, last)
	v.Dead = s.deadLetters(ctx)
	return v
}

// open returns a stream with its current information.
func (s *Server) open(ctx context.Context, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.js.Stream(ctx, name)
}

// consumers lists the consumers, those furthest behind first, except those of pages and look-ups.
func (s *Server) consumers(ctx context.Context, events jetstream.Stream) (all []*jetstream.ConsumerInfo, more int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	lister := events.ListConsumers(ctx)
	for info := range lister.Info() {
		if !strings.HasPrefix(info.Name, consumerName) && !strings.HasPrefix(info.Name, stream.LookupPrefix) {
			all = append(all, info)
		}
	}
	behind := func(c *jetstream.ConsumerInfo) int { return int(c.NumPending) + c.NumAckPending }
	slices.SortFunc(all, func(a, b *jetstream.ConsumerInfo) int { return cmp.Compare(behind(b), behind(a)) })
	more = max(0, len(all)-maxConsumers)
	return all[:len(all)-more], more, lister.Err()
}

// explain returns in words why a request about a stream failed, or "" if err is nil. began is when the
// request was made, and apis are the requests to JetStream that it consists of (see [stream.Denied]).
func (s *Server) explain(err error, began time.Time, name string, apis ...string) string {
	if err == nil {
		return ""
	}
	if !s.conn.IsConnected() {
		return s.disconnected()
	}
	if what := s.denied.RightFor(apis, began); what != "" {
		return "Our account has no right to " + what + ". Grant it, or use credentials that have it."
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound) && name == s.config.Stream:
		return fmt.Sprintf("Stream %s does not exist. Start a bridge, which creates it, or set STREAM_NAME.", name)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Sprintf("Stream %s does not exist. Start a bridge with QUARANTINE=true, which creates it.", name)
	case stream.IsUnavailable(err):
		return "JetStream is not available: enable it on the server and for this account, or set NATS_JS_DOMAIN to its domain."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoHeartbeat):
		return fmt.Sprintf("JetStream doesn't answer for stream %s: check that the stream has a leader.", name)
	}
	return fmt.Sprintf("Stream %s: %v.", name, err)
}

// disconnected returns a sentence that says that NATS is away, and why.
func (s *Server) disconnected() string {
	why := ""
	if err := s.conn.LastError(); err != nil {
		why = ": " + strings.TrimPrefix(err.Error(), "nats: ")
	}
	return "NATS is away" + why + ". Trying again."
}

// deadLetters describes the dead letters of consumers (docs/consumers.md) and the last of them.
type deadLetters struct {
	Stream   string    `json:"stream"`
	Messages uint64    `json:"messages"`
	Sequence uint64    `json:"sequence"` // of the last one
	Time     time.Time `json:"time"`
	Subject  string    `json:"subject"` // of the event, else its own; "" if it can't be read
	Reason   string    `json:"reason"`  // "" if it has none
}

// deadLetters returns the dead letters; nil if there are none, or the account has no right to them.
func (s *Server) deadLetters(ctx context.Context) *deadLetters {
	name := s.config.Stream + "_DEAD"
	stream, err := s.open(ctx, name)
	if err != nil || stream.CachedInfo().State.Msgs == 0 {
		return nil
	}
	state := stream.CachedInfo().State
	d := deadLetters{Stream: name, Messages: state.Msgs, Sequence: state.LastSeq, Time: state.LastTime}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if m, err := stream.GetMsg(ctx, d.Sequence); err == nil {
		d.Subject, d.Reason = cmp.Or(m.Header.Get("Dead-Subject"), m.Subject), m.Header.Get("Dead-Reason")
	}
	return &d
}
