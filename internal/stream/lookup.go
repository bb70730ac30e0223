package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LookupNames are the names of the consumers that [Find] makes: the rights to look up are for these alone,
// so that nobody else's consumer can be touched with them. So many can look up at one time.
var LookupNames = []string{"bridge-lookup-0", "bridge-lookup-1", "bridge-lookup-2", "bridge-lookup-3"}

// findPatience is less than that of other readers: the relay tries again by itself, and logs it.
const findPatience = 10 * time.Second

// Found is what one stream was found to hold.
type Found struct {
	IDs  map[string]bool
	Made time.Time // when that stream was made
	Last uint64    // its last sequence number when reading began
}

// IsOf reports whether what was found is still what the stream holds, but for what it has dropped: it is
// the same stream, and not put back to an older state.
func (f Found) IsOf(info *jetstream.StreamInfo) bool {
	return f.Made.Equal(info.Created) && f.Last <= info.State.LastSeq
}

// Find reads the ids of all that the stream has stored since a time, or of all there is where that is zero,
// and returns those that are wanted. The time is ours; it is set back where the server's clock is behind.
// hopeless is asked again and again; its error ends the look-up: NATS doesn't answer what it forbids.
func Find(
	ctx context.Context, nc *nats.Conn, js jetstream.JetStream, name string, since time.Time,
	wanted func(id string) bool, hopeless func() error,
) (Found, error) {
	if since.IsZero() {
		since = Beginning
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := Found{IDs: make(map[string]bool)}
	r := Reader{
		Conn: nc, JetStream: js, Names: LookupNames, Patience: findPatience, ahead: true,
		Section: Section{Stream: name, Since: since, Headers: true, Stop: true},
		Handle: func(m Message) error {
			if id := m.Headers().Get(nats.MsgIdHdr); id != "" && wanted(id) {
				found.IDs[id] = true
			}
			return nil
		},
		Report: func(err error) {
			if errors.Is(err, ErrMadeAnew) {
				clear(found.IDs)
			}
		},
	}
	go endWhen(ctx, cancel, hopeless)
	err := r.Run(ctx)
	switch ended := context.Cause(ctx); {
	case ended != nil:
		return Found{}, ended
	case err != nil:
		return Found{}, fmt.Errorf("looking up in stream %s: %w", name, err)
	}
	found.Made, found.Last = r.made, r.until
	return found, nil
}

// endWhen ends the context with the error that hopeless returns.
func endWhen(ctx context.Context, cancel context.CancelCauseFunc, hopeless func() error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := hopeless(); err != nil {
				cancel(err)
			}
		}
	}
}
