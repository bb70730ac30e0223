package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// seen is what NATS last reported.
type seen struct {
	stream, quarantine       *jetstream.StreamInfo
	streamErr, quarantineErr error
	consumers                []*jetstream.ConsumerInfo
	more                     int // consumers that are not listed
	consumersErr             error
	kept                     []kept // in quarantine, newest first
	keptErr                  error
	keptMade                 time.Time // the state of the quarantine's stream when kept was read
	keptLast, keptNumber     uint64
}

const (
	askTimeout   = 2 * time.Second
	maxConsumers = 100
)

// look asks NATS at intervals while a page is open.
func (s *Server) look(ctx context.Context) {
	for {
		if s.pages.Load() > 0 && s.config.Conn.IsConnected() {
			s.seen.Store(s.lookOnce(ctx, *s.seen.Load()))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.opened:
		case <-time.After(lookEvery):
		}
	}
}

func (s *Server) lookOnce(ctx context.Context, last seen) *seen {
	v := &last
	v.stream, v.streamErr = s.info(ctx, s.config.Stream)
	v.quarantine, v.quarantineErr = s.info(ctx, s.config.Quarantine)
	if v.consumers, v.more = nil, 0; v.streamErr == nil {
		v.consumers, v.more, v.consumersErr = s.consumers(ctx)
	}
	if v.quarantineErr != nil {
		v.kept, v.keptMade = nil, time.Time{}
		return v
	}
	made, state := v.quarantine.Created, v.quarantine.State
	if v.keptErr != nil || !v.keptMade.Equal(made) || v.keptLast != state.LastSeq || v.keptNumber != state.Msgs {
		v.kept, v.keptErr = s.list(ctx)
		v.keptMade, v.keptLast, v.keptNumber = made, state.LastSeq, state.Msgs
	}
	return v
}

func (s *Server) info(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	stream, err := s.config.JetStream.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	s.rights.granted("STREAM.INFO." + name)
	return stream.CachedInfo(), nil
}

// consumers lists the consumers of the events' stream, without those of pages like this.
func (s *Server) consumers(ctx context.Context) (all []*jetstream.ConsumerInfo, more int, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	stream, err := s.config.JetStream.Stream(ctx, s.config.Stream)
	if err != nil {
		return nil, 0, err
	}
	lister := stream.ListConsumers(ctx)
	for info := range lister.Info() {
		switch {
		case strings.HasPrefix(info.Name, consumerName):
		case len(all) == maxConsumers:
			more++
		default:
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b *jetstream.ConsumerInfo) int { return strings.Compare(a.Name, b.Name) })
	if err := lister.Err(); err != nil {
		return nil, 0, err
	}
	s.rights.granted("CONSUMER.LIST." + s.config.Stream)
	return all, more, nil
}

// explain returns in words why a request to these APIs of NATS failed, "" if err is nil; made is a sentence on
// who creates the stream.
func (s *Server) explain(err error, stream, made string, apis ...string) string {
	if err == nil {
		return ""
	}
	if !s.config.Conn.IsConnected() {
		return s.away()
	}
	for i, api := range apis {
		apis[i] = api + "." + stream
	}
	if what := s.rights.lacks(s.now(), apis...); what != "" {
		return "Our account has no right to " + what + ". Grant it, or use credentials that have it."
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

// away returns in words that NATS is away and why.
func (s *Server) away() string {
	why := ""
	if err := s.config.Conn.LastError(); err != nil {
		why = ": " + strings.TrimPrefix(err.Error(), "nats: ")
	}
	return "NATS is away" + why + ". Trying again."
}
