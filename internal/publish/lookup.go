package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// Stored reads the headers of all messages that the kind's stream has stored since a time, and returns
// the wanted ids among them. The error wraps [stream.ErrUnreadable] if that is in vain.
func (p *Publisher) Stored(ctx context.Context, kind Kind, since time.Time, wanted func(id string) bool) (stream.Found, error) {
	if err := p.Ready(kind); err != nil {
		return stream.Found{}, fmt.Errorf("looking up: %w", err)
	}
	s := p.session.Load()
	r := stream.Reader{JetStream: s.js, Names: stream.LookupNames, Denied: &s.denied}
	return r.Find(ctx, p.monitors[kind].stream.Name, since, wanted)
}

// Info asks for the state of the kind's stream. A stream that was created again since it acknowledged a
// message, or since a look-up found an id, may not have the message.
func (p *Publisher) Info(ctx context.Context, kind Kind) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	m := p.monitors[kind]
	now, err := p.session.Load().js.Stream(ctx, m.stream.Name)
	if err != nil {
		return nil, fmt.Errorf("asking for stream: %w", err)
	}
	if !now.CachedInfo().Created.Equal(m.lastWindow().Created) {
		m.check()
	}
	return now.CachedInfo(), nil
}
