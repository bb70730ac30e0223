package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// Store is the quarantine's stream, as a client sees it.
type Store struct {
	JetStream jetstream.JetStream
	Stream    jetstream.Stream
	Consumer  string // begins the names of its consumers
}

// Kept is a delivery in the store, without its body.
type Kept struct {
	Delivery
	Sequence uint64
	Size     int64     // of the body
	made     time.Time // when the stream was made in which it is
}

// ErrGone means that a delivery was in the store a moment ago.
var ErrGone = errors.New("it is gone: somebody else has released or dropped it, or newer ones needed the room")

// patience is how long the stream is tried: to who lacks the rights to read it, it never answers.
const patience = 10 * time.Second

// List returns what the stream has now, oldest first, or only so many of the last ones; and how many
// messages were passed over because no bridge has written them.
func (s Store) List(ctx context.Context, last uint64) (all []Kept, foreign int, err error) {
	var failing error
	r := stream.Reader{
		Conn: s.JetStream.Conn(), JetStream: s.JetStream, Name: s.Consumer, Patience: patience,
		Section: stream.Section{Stream: s.Stream.CachedInfo().Config.Name, Last: last, Headers: true, Stop: true},
		Report: func(err error) {
			if failing = err; errors.Is(err, stream.ErrMadeAnew) {
				all, foreign = nil, 0
			}
		},
		Handle: func(m stream.Message) error {
			k, err := parseKept(m)
			if err != nil {
				foreign++
				return nil //nolint:nilerr // somebody else's message
			}
			all = append(all, k)
			return nil
		},
	}
	if last == 0 {
		r.Section.Since = stream.Beginning
	}
	if err := r.Run(ctx); err != nil {
		return nil, 0, err
	}
	if ctx.Err() != nil {
		return nil, 0, errors.Join(failing, context.Cause(ctx))
	}
	return all, foreign, nil
}

// parseKept reads a message of which there are only the headers.
func parseKept(m stream.Message) (k Kept, err error) {
	header := m.Headers()
	if k.Delivery, err = Parse(header.Get, nil); err != nil {
		return Kept{}, err
	}
	k.Sequence, k.made = m.Sequence, m.Made
	if k.Size, err = strconv.ParseInt(header.Get(nats.MsgSize), 10, 64); err != nil {
		return Kept{}, fmt.Errorf("reading quarantined delivery: %s: not a number", nats.MsgSize)
	}
	return k, nil
}

// Get returns the delivery with its body.
func (s Store) Get(ctx context.Context, k Kept) (Delivery, error) {
	m, err := s.get(ctx, k.Sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Delivery{}, ErrGone
	case err != nil:
		return Delivery{}, fmt.Errorf("reading message %d: %w", k.Sequence, err)
	}
	d, err := Parse(m.Header.Get, m.Data)
	if err == nil && d.ID != k.ID { // the stream was made anew: that is another's number now
		err = ErrGone
	}
	return d, err
}

// get returns a message. Any copy of the stream may answer, and one that lags has not all of them: it
// isn't gone because one of them says so.
func (s Store) get(ctx context.Context, sequence uint64) (m *jetstream.RawStreamMsg, err error) {
	for range 5 {
		if m, err = s.Stream.GetMsg(ctx, sequence); !errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return m, err
}

// Remove removes a delivery, and overwrites it on disk: it is people's data.
func (s Store) Remove(ctx context.Context, k Kept) error {
	info, err := s.Stream.Info(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("asking for stream: %w", err)
	case !info.Created.Equal(k.made): // nothing of it is in the new one, where the number is another's
		return nil
	}
	if err = s.Stream.SecureDeleteMsg(ctx, k.Sequence); err != nil {
		if _, gone := s.get(ctx, k.Sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return err
}
