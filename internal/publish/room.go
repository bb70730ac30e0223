package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	now    func() time.Time

	mu       sync.Mutex
	answered time.Time // when ask last returned
	failure  error     // its error
	all      int64     // bytes that had room then
	step     int64     // bytes to admit until it is asked again
	left     int64     // of step
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
	if r.take(size) {
		return nil
	}
	if r.isDue() {
		if info, err := r.ask(ctx); err != nil {
			r.failure, r.answered = fmt.Errorf("asking how full the quarantine is: %w", err), r.now()
		} else {
			r.learn(info)
		}
		if r.take(size) {
			return nil
		}
	}
	if r.failure != nil {
		return r.failure
	}
	return &Error{ErrNoRoom, NoRoom, fmt.Errorf("%d bytes, of which %d would fit", size, max(r.all, 0))}
}

// take reserves room for a message and reports whether there was any. The first message of a step
// may be larger than the step.
func (r *room) take(size int64) bool {
	isValid := r.failure == nil && !r.answered.IsZero() && r.now().Sub(r.answered) <= roomValid
	if !isValid || size > r.left && (r.left < r.step || size > r.all) {
		return false
	}
	r.left -= size
	return true
}

// isDue reports whether to ask now. After an answer that left no room it waits for roomAgain.
func (r *room) isDue() bool {
	isUsed := r.failure == nil && r.left < r.step
	return r.answered.IsZero() || isUsed || r.now().Sub(r.answered) >= roomAgain
}

// learn computes the room from the stream's state.
func (r *room) learn(info *jetstream.StreamInfo) {
	limit := r.limit
	if have := info.Config.MaxBytes; have > 0 && (limit <= 0 || have < limit) {
		limit = have
	}
	r.answered, r.failure, r.all = r.now(), nil, limit
	r.step = max(limit/roomSteps, 0)
	isProtected := func(subject string) bool { return strings.HasSuffix(subject, "."+r.reason) }
	if slices.ContainsFunc(slices.Collect(maps.Keys(info.State.Subjects)), isProtected) {
		r.all = limit/2 - int64(info.State.Bytes)
		if most := info.Config.MaxMsgs; most > 0 && int64(info.State.Msgs) >= most/2 {
			r.all = 0
		}
		r.step = max(min(r.step, r.all), 0)
	}
	r.left = r.step
}

// newRoom returns the room of the quarantine's stream.
func (p *Publisher) newRoom(stream Stream) *room {
	return &room{reason: stream.ProtectedReason, limit: stream.MaxBytes, now: time.Now, ask: func(ctx context.Context) (*jetstream.StreamInfo, error) {
		ctx, cancel := context.WithTimeout(ctx, p.config.Timeout/2) // the acknowledgement needs the other half
		defer cancel()
		type answer struct {
			info *jetstream.StreamInfo
			err  error
		}
		answers := make(chan answer, 1)
		go func() { // nats.go ignores the context while it dials
			info, err := fullness(ctx, p.session.Load().js, stream)
			answers <- answer{info, err}
		}()
		select {
		case a := <-answers:
			return a.info, a.err
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
