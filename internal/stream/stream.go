// Package stream reads a part of a JetStream stream: each message once and in order, from a place on,
// over reconnections, and over the stream's being deleted and made anew.
//
// nats.go's ordered consumer does the first of these and not the last: it goes on behind the last
// sequence number that it has seen, for which a new stream of the same name may take days. Here a
// consumer is read for as long as it lives, and it dies with its stream; before the next one is made,
// the stream says when it was made itself.
package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Section is a part of a stream. Without Since and Last it begins with what comes from now on.
type Section struct {
	Stream   string
	Subjects []string  // any of them, which must not overlap; none: all
	Since    time.Time // begin with what was stored since
	Last     uint64    // begin with so many before the end
	Stop     bool      // end with what the stream had at the beginning
	Headers  bool      // without payloads
}

// Message is a message of the stream.
type Message struct {
	jetstream.Msg
	Sequence uint64
	Stored   time.Time
	Made     time.Time // when the stream was made: sequence numbers of different ones are not comparable
	Pending  uint64    // how many of the section are stored behind it
}

// Reader reads a section.
type Reader struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	Section   Section
	Name      string // begins the names of the consumers
	// Handle takes the messages, one at a time. Its error ends Run.
	Handle func(Message) error
	// Told is told why reading fails, again at each attempt, and nil when it works: each time when a
	// consumer has been made. nil: nobody wants to know.
	Told func(error)

	made  time.Time // of the stream that is read; zero before the first
	next  uint64    // the least sequence number that wasn't read; 0: begin with Since
	until uint64    // the last one, where Section.Stop
}

const (
	requestTimeout = 5 * time.Second
	heartbeat      = 5 * time.Second // of the server while it has nothing; two missing ones end a consumer
	inactive       = time.Minute     // after so long without us the server removes the consumer
	pause          = 500 * time.Millisecond
	patience       = 30 * time.Second // of a reader that is to stop by itself
)

var (
	// ErrMadeAnew is what Told is told when the stream is another than before. It is read from its
	// first message on: none of them was seen.
	ErrMadeAnew = errors.New("the stream was deleted and made anew")

	errDone   = errors.New("the section is read")
	errBroken = errors.New("the connection broke")
	errOther  = errors.New("the stream was made anew while its consumer was made")
)

// refusal is an error of Handle.
type refusal struct{ error }

// Run reads until the context ends, Handle fails or, where it is to stop, the section is read. What
// fails is tried again.
func (r *Reader) Run(ctx context.Context) error {
	failing := time.Time{}
	for {
		err := r.attempt(ctx, func() { failing = time.Time{} })
		var refused refusal
		switch {
		case errors.As(err, &refused):
			return refused.error
		case hasEnded(ctx), errors.Is(err, errDone):
			return nil
		case errors.Is(err, errBroken), errors.Is(err, errOther):
			err = nil // whoever holds the connection knows; the next attempt says so
		case failing.IsZero():
			failing = time.Now()
		case r.Section.Stop && time.Since(failing) > patience:
			return err
		}
		if err != nil {
			r.tell(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func hasEnded(ctx context.Context) bool { return ctx.Err() != nil }

func (r *Reader) tell(err error) {
	if r.Told != nil {
		r.Told(err)
	}
}

// attempt makes a consumer and reads it until something happens to it. works is called when it is there.
func (r *Reader) attempt(ctx context.Context, works func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := r.watch(ctx, cancel); err != nil {
		return err
	}
	consumer, err := r.attach(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	defer r.detach(ctx, consumer)
	works()
	r.tell(nil)
	if r.Section.Stop && (consumer.CachedInfo().NumPending == 0 || r.next > r.until) {
		return errDone
	}
	err = r.read(ctx, consumer)
	if cause := context.Cause(ctx); cause != nil && !errors.As(err, new(refusal)) {
		return cause
	}
	return err
}

// watch waits until NATS is connected, and ends the context when the connection breaks: what was on its
// way then may be lost.
func (r *Reader) watch(ctx context.Context, cancel context.CancelCauseFunc) error {
	changes := r.Conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	for connected := r.Conn.IsConnected(); !connected; {
		select {
		case status, ok := <-changes:
			connected = ok && status == nats.CONNECTED
			if !ok || status == nats.CLOSED {
				return nats.ErrConnectionClosed
			}
		case <-ctx.Done():
			r.Conn.RemoveStatusListener(changes)
			return ctx.Err()
		}
	}
	go func() {
		defer r.Conn.RemoveStatusListener(changes)
		for {
			select {
			case status := <-changes:
				if status != nats.CONNECTED {
					cancel(errBroken)
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// attach makes a consumer that reads on from where we are.
func (r *Reader) attach(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := r.JetStream.Stream(ctx, r.Section.Stream)
	if err != nil {
		return nil, fmt.Errorf("asking for stream: %w", err)
	}
	info := stream.CachedInfo()
	if r.begin(info) {
		r.tell(ErrMadeAnew)
	}
	c := jetstream.ConsumerConfig{
		Name: r.Name + nuid.Next(), FilterSubjects: r.Section.Subjects, HeadersOnly: r.Section.Headers,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: inactive, MemoryStorage: true, Replicas: 1,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.next,
	}
	if r.next == 0 {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Section.Since
	}
	consumer, err := stream.CreateConsumer(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("making consumer: %w", err)
	}
	// Only if it is still the same stream is the consumer one of it.
	if info, err = stream.Info(ctx); err != nil {
		return nil, fmt.Errorf("asking for stream: %w", err)
	}
	if !info.Created.Equal(r.made) {
		return nil, errOther
	}
	return consumer, nil
}

// begin decides where to read on, and says whether that is a new stream's beginning.
func (r *Reader) begin(info *jetstream.StreamInfo) (anew bool) {
	state := info.State
	switch {
	case r.made.IsZero():
		r.until = state.LastSeq
		switch {
		case r.Section.Last > 0:
			r.next = max(1, state.FirstSeq, state.LastSeq-min(state.LastSeq, r.Section.Last)+1)
		case r.Section.Since.IsZero(), r.Section.Since.After(state.LastTime): // for a time to come, the server begins with the first
			// Now is a sequence number. To the server, "new" would begin again with every consumer, and
			// what came meanwhile would be lost.
			r.next = state.LastSeq + 1
		}
	case !r.made.Equal(info.Created), r.next > state.LastSeq+1: // a stream in memory begins again with its server
		r.next, r.until, anew = 1, state.LastSeq, true
	}
	r.made = info.Created
	return anew
}

// read hands over what the consumer has, until that fails.
func (r *Reader) read(ctx context.Context, consumer jetstream.Consumer) error {
	messages, err := consumer.Messages(jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	defer messages.Stop()
	for last := uint64(0); ; last++ {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		if meta.Sequence.Consumer != last+1 {
			return fmt.Errorf("reading: message %d came after %d", meta.Sequence.Consumer, last)
		}
		sequence := meta.Sequence.Stream
		if r.Section.Stop && sequence > r.until {
			return errDone
		}
		if !meta.Timestamp.Before(r.Section.Since) {
			if err := r.Handle(Message{Msg: m, Sequence: sequence, Stored: meta.Timestamp, Made: r.made, Pending: meta.NumPending}); err != nil {
				return refusal{err}
			}
		}
		r.next = sequence + 1
		if r.Section.Stop && (sequence == r.until || meta.NumPending == 0) {
			return errDone
		}
	}
}

// detach removes the consumer, where that can be done; the server does it after a while, too.
func (r *Reader) detach(ctx context.Context, consumer jetstream.Consumer) {
	if !r.Conn.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.JetStream.DeleteConsumer(ctx, r.Section.Stream, consumer.CachedInfo().Name)
}
