package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// Store reads and removes deliveries in the quarantine's stream.
type Store struct {
	JetStream jetstream.JetStream
	Stream    jetstream.Stream
	Consumer  string // prefix of the names of its consumers
}

// Kept is a delivery in the store, without its body.
type Kept struct {
	Delivery
	Size          int64  `json:"bytes"` // of the body
	Sequence      uint64 `json:"sequence"`
	streamCreated time.Time
	listed        time.Time
}

// ErrGone means that a delivery has left the store since it was listed.
var ErrGone = errors.New("it is gone: somebody else has released or dropped it, or newer deliveries have displaced it")

// List returns the deliveries in the stream, oldest first; if last isn't 0, only so many of the newest. It
// skips messages that no bridge has written, and returns how many there are as foreign.
func (s Store) List(ctx context.Context, last uint64) (all []Kept, foreign int, err error) {
	var failing error
	r := stream.Reader{
		JetStream: s.JetStream, Name: s.Consumer,
		Section: stream.Section{Stream: s.Stream.CachedInfo().Config.Name, HeadersOnly: true, Stop: true},
		Report:  func(err error) { failing = err },
		Restart: func() { all, foreign = nil, 0 },
		Handle: func(m stream.Message) error {
			switch k, err := parseKept(m); {
			case err == nil:
				all = append(all, k)
			case !m.IsMarker():
				foreign++
			}
			return nil
		},
	}
	if last == 0 {
		r.Section.Since = stream.Beginning
	} else { // messages may have been removed between the newest ones
		r.Section.Last = last + uint64(s.Stream.CachedInfo().State.NumDeleted)
	}
	switch err := r.Run(ctx); {
	case ctx.Err() != nil:
		return nil, 0, errors.Join(failing, err)
	case err != nil:
		return nil, 0, err
	}
	if n := uint64(len(all)); last > 0 && n > last {
		all = all[n-last:]
	}
	return all, foreign, nil
}

// parseKept parses a message that comes without its body.
func parseKept(m stream.Message) (k Kept, err error) {
	header := m.Headers()
	if k.Delivery, err = Parse(header.Get, nil); err != nil {
		return Kept{}, err
	}
	k.Sequence, k.streamCreated, k.listed = m.Sequence, m.StreamCreated, time.Now()
	if k.Size, err = strconv.ParseInt(header.Get(nats.MsgSize), 10, 64); err != nil {
		return Kept{}, fmt.Errorf("reading quarantined delivery: %s: not a number", nats.MsgSize)
	}
	return k, nil
}

// Get returns the delivery with its body.
func (s Store) Get(ctx context.Context, k Kept) (Delivery, error) {
	m, err := s.get(ctx, k)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Delivery{}, ErrGone
	case err != nil:
		return Delivery{}, fmt.Errorf("reading message %d: %w", k.Sequence, err)
	}
	d, err := Parse(m.Header.Get, m.Data)
	if err == nil && d.ID != k.ID { // the stream was created again, and has another delivery at that sequence
		err = ErrGone
	}
	return d, err
}

// maxLag is how long after a delivery was listed a replica that lags may answer that it has no such message.
const maxLag = 250 * time.Millisecond

// get returns a delivery's message.
func (s Store) get(ctx context.Context, k Kept) (*jetstream.RawStreamMsg, error) {
	listed := cmp.Or(k.listed, time.Now())
	for {
		m, err := s.Stream.GetMsg(ctx, k.Sequence)
		if !errors.Is(err, jetstream.ErrMsgNotFound) || time.Since(listed) > maxLag {
			return m, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Remove removes a delivery and overwrites it on disk, because it holds personal data.
func (s Store) Remove(ctx context.Context, k Kept) error {
	info, err := s.Stream.Info(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("asking for stream: %w", err)
	case !info.Created.Equal(k.streamCreated): // it is gone with its stream
		return nil
	}
	if err = s.Stream.SecureDeleteMsg(ctx, k.Sequence); err != nil {
		if _, gone := s.get(ctx, k); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return err
}
