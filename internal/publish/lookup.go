package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// ErrNoRights means that our account may not read the stream.
var ErrNoRights = errors.New("our account may not create a consumer on the stream")

// errOtherStream means that the stream is no longer the one in which a message was found.
var errOtherStream = errors.New("the stream was deleted and created again, or restored, since the look-up")

// Stored reads the headers of all messages that the kind's stream has stored since a time, and
// returns the wanted ids among them. The error is [ErrNoRights] where our account may not read the
// stream.
func (p *Publisher) Stored(ctx context.Context, kind Kind, since time.Time, wanted func(id string) bool) (stream.Found, error) {
	if err := p.Ready(kind); err != nil {
		return stream.Found{}, fmt.Errorf("looking up: %w", err)
	}
	s, name := p.session.Load(), p.monitors[kind].stream.Name
	refused := func() error {
		if s.forbidden.hasConsumer(name) {
			return ErrNoRights
		}
		return context.Cause(s.alive)
	}
	if err := refused(); err != nil {
		return stream.Found{}, err
	}
	return stream.Find(ctx, s.nc, s.js, name, since, wanted, refused)
}

// IsStored returns nil if the kind's stream is still the one in which the ids were found. Only then
// may a message be dropped because its id was found.
func (p *Publisher) IsStored(ctx context.Context, kind Kind, found stream.Found) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	now, err := p.session.Load().js.Stream(ctx, p.monitors[kind].stream.Name)
	switch {
	case err != nil:
		return fmt.Errorf("looking up: asking for stream: %w", err)
	case !found.IsOf(now.CachedInfo()):
		p.monitors[kind].check()
		return fmt.Errorf("looking up: %w", errOtherStream)
	}
	return nil
}

// Made returns when the kind's current stream was created. It need not hold a message that an
// earlier stream of that name has acknowledged.
func (p *Publisher) Made(ctx context.Context, kind Kind) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	now, err := p.session.Load().js.Stream(ctx, p.monitors[kind].stream.Name)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking for stream: %w", err)
	}
	return now.CachedInfo().Created, nil
}
