// Package stream reads a section of a JetStream stream: each message once and in order, over
// reconnections, and over the stream's being deleted and made anew. It is the one reader of streams:
// commands, the live page, the quarantine store and look-ups (see [Find]) use it.
//
// A section that ends is read whole: all that the stream's leader had when reading began. A consumer
// with one replica may be placed on a follower that lags, where its messages end early; so the end
// counts only where a message with the leader's last sequence number has come, or where a new consumer
// at the leader itself has nothing more.
//
// nats.go's ordered consumer promises neither. It also goes on behind the last sequence number that it
// has seen, for which a new stream of the same name may take days. Here a consumer is read for as long
// as it lives, and it dies with its stream; before the next one is made, the stream reports when it was
// made itself.
package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Section is a part of a stream. Without Since, Last and First it begins with what comes from now on.
type Section struct {
	Stream   string
	Subjects []string  // any of them, which must not overlap; none: all
	Since    time.Time // begin with what was stored since
	Last     uint64    // begin with so many before the end
	First    uint64    // begin with this sequence number
	Stop     bool      // end with what the stream had at the beginning
	Headers  bool      // without payloads
}

// Beginning is a time before every message: a section since then begins with the first one.
var Beginning = time.Unix(1, 0)

// Message is a message of the stream.
type Message struct {
	jetstream.Msg
	Sequence uint64
	Stored   time.Time
	Made     time.Time // when the stream was made: sequence numbers of different ones are not comparable
	Pending  uint64    // about how many of the section are stored behind it
}

// Reader reads a section.
type Reader struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	Section   Section
	Name      string // begins the names of the consumers
	// Names are all the names that consumers may have, where the account's rights are for these only.
	// Others may use the same ones at the same time; a message may then be handled twice.
	Names []string
	// Handle takes the messages, one at a time. Its error ends Run.
	Handle func(Message) error
	// Report is called with the reason each time an attempt to read fails, and with nil each time a
	// consumer has been made. May be nil.
	Report func(error)
	// Patience is how long a section that ends is tried without getting on; 0 means half a minute.
	Patience time.Duration

	made  time.Time // of the stream that is read; zero before the first
	next  uint64    // the least sequence number that wasn't read; 0: begin with Since
	until uint64    // the leader's last one when reading began
	ahead bool      // Since was reckoned by a clock that may be ahead of the server's
}

const (
	requestTimeout = 5 * time.Second
	heartbeat      = 5 * time.Second // of the server while it has nothing; two missing ones end a consumer
	silence        = 5 * time.Second // without a message, where there must be some, ends a consumer too
	inactive       = 30 * time.Second
	pause          = 500 * time.Millisecond
	patience       = 30 * time.Second
)

var (
	// ErrMadeAnew is reported when the stream is another one than before. It is read from its first
	// message on: none of them was seen.
	ErrMadeAnew = errors.New("the stream was deleted and made anew")

	errDone    = errors.New("the section is read")
	errDrained = errors.New("the consumer has no more messages")
	errBehind  = errors.New("the copy of the stream that was read lacks messages which the leader has")
	errBroken  = errors.New("the connection broke")
	errOther   = errors.New("the stream or the consumer was made anew meanwhile")
	errSilent  = errors.New("no message came though there are some")
	errInUse   = errors.New("all consumer names that may be used are in use")
)

// refusal is an error of Handle.
type refusal struct{ error }

// Run reads until the context ends, Handle fails or, where it is to stop, the section is read. What
// fails is tried again; a section that ends is given up where nothing gets on for some time.
func (r *Reader) Run(ctx context.Context) error {
	var failing time.Time
	for {
		before := r.next
		err := r.attempt(ctx)
		if r.next != before {
			failing = time.Time{}
		}
		var refused refusal
		switch {
		case errors.As(err, &refused):
			return refused.error
		case ctx.Err() != nil, errors.Is(err, errDone):
			return nil //nolint:nilerr // the context's error is the caller's to see
		case errors.Is(err, nats.ErrConnectionClosed):
			return err
		case errors.Is(err, errDrained):
			continue // the next consumer shows whether that is all
		case errors.Is(err, errBroken): // the owner of the connection knows
		case failing.IsZero():
			failing = time.Now()
			r.report(err)
		case r.Section.Stop && time.Since(failing) > r.patience():
			return err
		default:
			r.report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (r *Reader) patience() time.Duration {
	if r.Patience > 0 {
		return r.Patience
	}
	return patience
}

func (r *Reader) report(err error) {
	if r.Report != nil {
		r.Report(err)
	}
}

// attempt makes a consumer and reads it until something happens to it.
func (r *Reader) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := r.watch(ctx, cancel); err != nil {
		return err
	}
	err := r.open(ctx, cancel)
	if cause := context.Cause(ctx); cause != nil && !errors.As(err, new(refusal)) && !errors.Is(err, errDone) {
		return cause
	}
	return err
}

// open finds the stream, makes a consumer of it and reads that.
func (r *Reader) open(ctx context.Context, cancel context.CancelCauseFunc) error {
	stream, err := r.locate(ctx)
	if err != nil {
		return err
	}
	isRead := r.Section.Stop && r.next > r.until
	if isRead && len(r.Names) == 0 { // with names it matters, too, whether our account may make a consumer
		return errDone
	}
	consumer, err := r.attach(ctx, stream)
	if err != nil {
		return err
	}
	defer r.detach(ctx, consumer)
	r.report(nil)
	if isRead {
		return errDone
	}
	if r.Section.Stop && consumer.info.NumPending == 0 {
		if consumer.atLeader {
			return errDone
		}
		return errBehind
	}
	before := r.next
	err = r.read(ctx, cancel, consumer)
	if len(r.Names) > 0 && r.next != before && !r.isStillOurs(ctx, stream, consumer) {
		r.next = before // it may have been another's, that begins elsewhere
		return errOther
	}
	return err
}

// watch waits until NATS is connected, and ends the context when the connection breaks: what was on its
// way then may be lost.
func (r *Reader) watch(ctx context.Context, cancel context.CancelCauseFunc) error {
	changes := r.Conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	for connected := r.Conn.IsConnected(); !connected; {
		if r.Conn.IsClosed() {
			return nats.ErrConnectionClosed
		}
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

// read hands over what the consumer has, until that ends or fails.
func (r *Reader) read(ctx context.Context, cancel context.CancelCauseFunc, consumer *consumer) error {
	messages, err := consumer.Messages(jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return reading(err)
	}
	defer messages.Stop()
	idle := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer idle.Stop()
	for last := uint64(0); ; last++ {
		if r.Section.Stop {
			idle.Reset(silence)
		} else {
			idle.Stop()
		}
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return reading(err)
		}
		idle.Stop() // Handle may take its time
		if err := r.take(m, last+1); err != nil {
			return err
		}
	}
}

// take handles a message, which must be the consumer's next. errDone means that it was the section's last.
func (r *Reader) take(m jetstream.Msg, next uint64) error {
	meta, err := m.Metadata()
	if err != nil {
		return reading(err)
	}
	if meta.Sequence.Consumer != next { // some were lost on their way
		return reading(errors.New("a message is missing"))
	}
	sequence := meta.Sequence.Stream
	if sequence < r.next { // of another's consumer, which has our name now
		return errOther
	}
	if r.Section.Stop && sequence > r.until {
		return errDone
	}
	if !meta.Timestamp.Before(r.Section.Since) {
		if err := r.Handle(Message{
			Msg: m, Sequence: sequence, Stored: meta.Timestamp, Made: r.made, Pending: meta.NumPending,
		}); err != nil {
			return refusal{err}
		}
	}
	r.next = sequence + 1
	switch {
	case r.Section.Stop && sequence == r.until:
		return errDone
	case r.Section.Stop && meta.NumPending == 0:
		return errDrained // by its counter, and of its copy of the stream
	}
	return nil
}
