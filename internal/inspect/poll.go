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

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// snapshot is what NATS last reported.
type snapshot struct {
	stream, quarantine       *jetstream.StreamInfo
	streamErr, quarantineErr error
	consumers                []*jetstream.ConsumerInfo
	more                     int // consumers that are not listed
	consumersErr             error
	lags                     lags
	dead                     *deadLetters
	deadNext                 time.Time  // when the dead letters may be asked for
	deliveries               []delivery // in quarantine, newest first
	deliveriesErr            error
	listedMade               time.Time // the state of the quarantine's stream when the deliveries were listed
	listedLast, listedNumber uint64
}

const (
	requestTimeout = 2 * time.Second
	maxConsumers   = 200
)

// poll asks NATS at intervals while a page is open.
func (s *Server) poll(ctx context.Context) {
	for {
		if s.pages.Load() > 0 && s.config.Conn.IsConnected() {
			s.snapshot.Store(s.pollOnce(ctx, *s.snapshot.Load()))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.opened:
		case <-time.After(pollInterval):
		}
	}
}

func (s *Server) pollOnce(ctx context.Context, last snapshot) *snapshot {
	v := &last
	v.stream, v.consumers, v.more = nil, nil, 0
	events, err := s.open(ctx, s.config.Stream)
	if v.streamErr = err; err == nil {
		v.stream = events.CachedInfo()
		v.consumers, v.more, v.consumersErr = s.consumers(ctx, events)
	}
	now := s.now()
	v.lags = v.lags.add(now, v.consumers)
	if !now.Before(v.deadNext) {
		if v.dead = s.deadLetters(ctx, v.dead); v.dead == nil {
			v.deadNext = now.Add(deadPause)
		}
	}
	kept, err := s.open(ctx, s.config.Quarantine)
	if v.quarantineErr = err; err != nil {
		v.quarantine, v.deliveries, v.listedMade = nil, nil, time.Time{}
		return v
	}
	v.quarantine = kept.CachedInfo()
	made, state := v.quarantine.Created, v.quarantine.State
	if v.deliveriesErr != nil || !v.listedMade.Equal(made) || v.listedLast != state.LastSeq || v.listedNumber != state.Msgs {
		v.deliveries, v.deliveriesErr = s.list(ctx, kept)
		v.listedMade, v.listedLast, v.listedNumber = made, state.LastSeq, state.Msgs
	}
	return v
}

// open returns a stream, whose cached information is new.
func (s *Server) open(ctx context.Context, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := s.config.JetStream.Stream(ctx, name)
	if err == nil {
		s.rights.granted("STREAM.INFO." + name)
	}
	return found, err
}

// consumers lists the stream's consumers, without those of pages and look-ups.
func (s *Server) consumers(ctx context.Context, events jetstream.Stream) (all []*jetstream.ConsumerInfo, more int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	lister := events.ListConsumers(ctx)
	for info := range lister.Info() {
		if !strings.HasPrefix(info.Name, consumerName) && !slices.Contains(stream.LookupNames, info.Name) {
			all = append(all, info)
		}
	}
	if err := lister.Err(); err != nil {
		return nil, 0, err
	}
	if more = max(0, len(all)-maxConsumers); more > 0 { // those furthest behind are listed
		slices.SortFunc(all, func(a, b *jetstream.ConsumerInfo) int { return cmp.Compare(lagOf(b), lagOf(a)) })
		all = all[:maxConsumers]
	}
	slices.SortFunc(all, func(a, b *jetstream.ConsumerInfo) int { return strings.Compare(a.Name, b.Name) })
	s.rights.granted("CONSUMER.LIST." + s.config.Stream)
	return all, more, nil
}

// explain returns in words why a request to these APIs of NATS failed, "" if err is nil; made is a
// sentence on who creates the stream.
func (s *Server) explain(err error, stream, made string, apis ...string) string {
	if err == nil {
		return ""
	}
	if !s.config.Conn.IsConnected() {
		return s.disconnected()
	}
	for i, api := range apis {
		apis[i] = api + "." + stream
	}
	if what := s.rights.lacks(s.now(), apis...); what != "" {
		return noRight(what)
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Sprintf("Stream %s does not exist. %s", stream, made)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "JetStream is not available: enable it on the server and for this account, or set NATS_JS_DOMAIN to its domain."
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoHeartbeat):
		return fmt.Sprintf("JetStream doesn't answer for stream %s: check that the stream has a leader.", stream)
	}
	return fmt.Sprintf("Stream %s: %v.", stream, err)
}

func noRight(what string) string {
	return "Our account has no right to " + what + ". Grant it, or use credentials that have it."
}

// disconnected returns in words that NATS is away, and why.
func (s *Server) disconnected() string {
	why := ""
	if err := s.config.Conn.LastError(); err != nil {
		why = ": " + strings.TrimPrefix(err.Error(), "nats: ")
	}
	return "NATS is away" + why + ". Trying again."
}
