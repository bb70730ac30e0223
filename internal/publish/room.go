package publish

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// room limits the deliveries answered 401 in the quarantine's stream, so that they never displace
// deliveries answered 200: a full stream drops its oldest messages of either sort. While the stream
// has any of the latter, the former may fill only half of it.
//
// It reads the stream's state now and then, which needs no more rights than publishing does.
// Between two reads it admits at most a sixteenth of the stream, so that eight instances that read
// at the same moment still displace nothing (ADR 10).
type room struct {
	reason string // last token of the subjects of deliveries answered 200
	limit  int64  // QUARANTINE_MAX_BYTES; the stream's own limit may be larger
	ask    func(context.Context) (*jetstream.StreamInfo, error)

	mu     sync.Mutex
	asked  time.Time // when ask last returned
	err    error     // its error
	all    int64     // bytes that had room then
	left   int64     // bytes to admit until it is asked again
	isUsed bool      // some were admitted since
}

const (
	roomValid = 10 * time.Second // how long an answer is used
	roomAgain = time.Second      // pause after an answer that left no room
	roomSteps = 16
	// storeOverhead is the most that a stream's store adds to a message: nats-server's
	// fileStoreMsgSize counts the subject, the length of the headers and a checksum.
	storeOverhead = 512
)

// admit returns nil if a message of that size may be published, and then counts it as published.
func (r *room) admit(ctx context.Context, size int64) error {
	size += storeOverhead
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := time.Since(r.asked); age > roomValid || size > r.left && (r.isUsed || age >= roomAgain) {
		r.learn(ctx, size)
	}
	switch {
	case r.err != nil:
		return r.err
	case size > r.left:
		return &Error{ErrNoRoom, NoRoom, fmt.Errorf("%d bytes, of which %d would fit", size, max(r.all, 0))}
	}
	r.left -= size
	r.isUsed = true
	return nil
}

// learn asks for the stream's state and computes the room. The message that is waiting may be
// larger than a step.
func (r *room) learn(ctx context.Context, size int64) {
	info, err := r.ask(ctx)
	r.asked, r.isUsed, r.err = time.Now(), false, nil
	if err != nil {
		r.left, r.err = 0, fmt.Errorf("asking how full the quarantine is: %w", err)
		return
	}
	limit := r.limit
	if have := info.Config.MaxBytes; have > 0 && (limit <= 0 || have < limit) {
		limit = have
	}
	r.all = limit
	for subject := range info.State.Subjects {
		if !strings.HasSuffix(subject, "."+r.reason) {
			continue
		}
		r.all = limit/2 - int64(info.State.Bytes)
		if most := info.Config.MaxMsgs; most > 0 && int64(info.State.Msgs) >= most/2 {
			r.all = 0
		}
	}
	r.left = min(r.all, max(limit/roomSteps, size))
}

// newRoom returns the room of the quarantine's stream.
func (p *Publisher) newRoom(stream Stream) *room {
	return &room{reason: stream.ProtectedReason, limit: stream.MaxBytes, ask: func(ctx context.Context) (*jetstream.StreamInfo, error) {
		ctx, cancel := context.WithTimeout(ctx, p.config.Timeout/2) // the acknowledgement needs the other half
		defer cancel()
		var info *jetstream.StreamInfo
		var err error
		done := make(chan struct{})
		go func() { // nats.go ignores the context while a write has to wait
			defer close(done)
			info, err = fullness(ctx, p.session.Load().js, stream)
		}()
		select {
		case <-done:
			return info, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

// fullness returns the stream's info with its subjects.
func fullness(ctx context.Context, js jetstream.JetStream, stream Stream) (*jetstream.StreamInfo, error) {
	s, err := js.Stream(ctx, stream.Name)
	if err != nil {
		return nil, err
	}
	return s.Info(ctx, jetstream.WithSubjectFilter(stream.Prefix+".>"))
}

// admit returns an error if the message was answered 401 and the quarantine has no room for it.
func (p *Publisher) admit(ctx context.Context, m Message) error {
	if m.Kind != Refused {
		return nil
	}
	err := p.room.admit(ctx, sizeOf(m, p.monitors[m.Kind].stream.Name))
	if err == nil || CauseOf(err) == NoRoom {
		return err
	}
	return p.failed(m, err)
}
