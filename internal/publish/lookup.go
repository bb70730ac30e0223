package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// ErrNoRights means that our account may not read the stream.
var ErrNoRights = errors.New("our account may not create a consumer on the stream")

// errOtherStream means that what was found was in another stream than the one that is there now.
var errOtherStream = errors.New("the stream was deleted and made anew, or restored, since it was looked through")

// Stored reads the ids of all that the kind's stream has stored since a time, headers only, and returns
// those of them that are wanted. The error is [ErrNoRights] where the account doesn't let us.
func (p *Publisher) Stored(ctx context.Context, kind durable.Kind, since time.Time, wanted func(id string) bool) (stream.Found, error) {
	if err := p.Ready(kind); err != nil {
		return stream.Found{}, fmt.Errorf("looking up: %w", err)
	}
	name := p.monitors[kind].stream.Name
	refused := func() error {
		if p.link.mayNotRead(name) {
			return ErrNoRights
		}
		return nil
	}
	if err := refused(); err != nil {
		return stream.Found{}, err
	}
	s := p.session.Load()
	return stream.Find(ctx, s.nc, s.js, name, since, wanted, refused)
}

// IsStored returns nil if what was found is still stored: the kind's stream is, at this moment, the one in
// which it was found. Only then may a message be dropped because of it.
func (p *Publisher) IsStored(ctx context.Context, kind durable.Kind, found stream.Found) error {
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

// Made returns when the kind's stream was made that is there now. A message that was acknowledged by an
// earlier one need not be in it.
func (p *Publisher) Made(ctx context.Context, kind durable.Kind) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	now, err := p.session.Load().js.Stream(ctx, p.monitors[kind].stream.Name)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking for stream: %w", err)
	}
	return now.CachedInfo().Created, nil
}

// mayNotRead reports whether NATS has told that we can't make or read a consumer on the stream.
func (l *link) mayNotRead(name string) bool {
	return l.forbidden.hasPrefix("$JS.", ".CONSUMER.CREATE."+name+".", ".CONSUMER.MSG.NEXT."+name+".")
}
