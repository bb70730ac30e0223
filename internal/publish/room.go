package publish

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// room admits what was answered 401 to the quarantine's stream, so that it never pushes out what was
// answered 200: a full stream drops its oldest messages, whichever these are. While any of the latter
// is there, the former is published up to half of the stream only.
//
// It asks the stream now and then how full it is, which needs no more rights than to publish at all.
// Between two answers it admits no more than a sixteenth of the stream: so much may eight instances
// that ask at the same time be wrong together and still push out nothing (ADR 10).
type room struct {
	reason string // last token of the subjects of what was answered 200
	limit  int64  // QUARANTINE_MAX_BYTES: the stream's own limit may be larger
	ask    func(context.Context) (*jetstream.StreamInfo, error)
	now    func() time.Time

	mu       sync.Mutex
	answered time.Time
	failure  error // there was none, then
	all      int64 // that the last answer has room for
	step     int64 // that is admitted until the next answer, at the most
	left     int64 // of the step
}

const (
	roomValid = 10 * time.Second // an answer counts for so long
	roomAgain = time.Second      // after an answer that didn't help it isn't asked again sooner
	roomSteps = 16
	// storeOverhead is what a stream's store adds to a message at the most: nats-server's
	// fileStoreMsgSize counts the subject, the length of the headers and a checksum.
	storeOverhead = 512
)

// admit returns nil where a message of that size may be published, and counts it as published.
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
	return &Error{durable.ErrNoRoom, NoRoom, fmt.Errorf("%d bytes, of which %d would fit", size, max(r.all, 0))}
}

// take takes room for a message. One that is larger than the step is taken where it is the first.
func (r *room) take(size int64) bool {
	isValid := r.failure == nil && !r.answered.IsZero() && r.now().Sub(r.answered) <= roomValid
	if !isValid || size > r.left && (r.left < r.step || size > r.all) {
		return false
	}
	r.left -= size
	return true
}

// isDue reports whether to ask now: not again at once where the last answer has proved useless.
func (r *room) isDue() bool {
	isUsed := r.failure == nil && r.left < r.step
	return r.answered.IsZero() || isUsed || r.now().Sub(r.answered) >= roomAgain
}

// learn takes in how full the stream is.
func (r *room) learn(info *jetstream.StreamInfo) {
	most := r.limit
	if have := info.Config.MaxBytes; have > 0 && (most <= 0 || have < most) {
		most = have
	}
	r.answered, r.failure, r.all = r.now(), nil, most
	r.step = max(most/roomSteps, 0)
	messages := int64(0)
	for subject, n := range info.State.Subjects {
		if strings.HasSuffix(subject, "."+r.reason) {
			messages += int64(n)
		}
	}
	if messages > 0 {
		r.all = most/2 - int64(info.State.Bytes)
		if limit := info.Config.MaxMsgs; limit > 0 && int64(info.State.Msgs) >= limit/2 {
			r.all = 0
		}
		r.step = max(min(r.step, r.all), 0)
	}
	r.left = r.step
}

// newRoom returns the room of the quarantine's stream.
func (p *Publisher) newRoom(stream Stream) *room {
	return &room{reason: stream.Precious, limit: stream.MaxBytes, now: time.Now, ask: func(ctx context.Context) (*jetstream.StreamInfo, error) {
		ctx, cancel := context.WithTimeout(ctx, p.config.Timeout/2) // the acknowledgement takes its own time
		defer cancel()
		type answer struct {
			info *jetstream.StreamInfo
			err  error
		}
		answers := make(chan answer, 1)
		go func() { // nats.go doesn't look at the context while it dials
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

// fullness asks for the stream's state, with the number of messages by subject.
func fullness(ctx context.Context, js jetstream.JetStream, stream Stream) (*jetstream.StreamInfo, error) {
	s, err := js.Stream(ctx, stream.Name)
	if err != nil {
		return nil, err
	}
	return s.Info(ctx, jetstream.WithSubjectFilter(stream.Prefix+".>"))
}

// admit returns an error where the message is one that must not be published now, because the
// quarantine has no room for it.
func (p *Publisher) admit(ctx context.Context, m durable.Message) error {
	if m.Kind != durable.Refused {
		return nil
	}
	if err := p.link.open(); err != nil {
		return &Error{durable.ErrUnavailable, Disconnected, err}
	}
	if err := p.Check(m); err != nil {
		return err
	}
	err := p.room.admit(ctx, sizeOf(m, p.monitors[m.Kind].stream.Name))
	if err == nil || CauseOf(err) == NoRoom {
		return err
	}
	return p.failed(m, err)
}
