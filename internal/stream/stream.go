// Package stream reads a section of a JetStream stream: each message once and in order, even if the
// connection breaks, or the stream is deleted and created again. Commands, the live page, the
// quarantine store and look-ups (see [Reader.Find]) read streams with it.
//
// A section that ends is complete: it has everything that the stream's leader had at the beginning.
// A consumer with one replica may be on a follower that lags, and so run out of messages early. A
// section therefore ends only with the leader's last sequence number, or when a new consumer at the
// leader has no more messages.
//
// nats.go's ordered consumer promises neither. After a stream was created again, it also waits for the
// sequence number that it had reached, which may take days. A [Reader] reads one consumer after the other:
// a consumer ends with its stream. Before it creates the next one, it asks when the stream was created.
package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Section is a part of a stream. Without Since, Last and First it begins with the next message to
// be stored.
type Section struct {
	Stream      string
	Subjects    []string  // must not overlap; none: all
	Since       time.Time // begin with the messages stored at this time
	Last        uint64    // begin so many messages before the end
	First       uint64    // begin with this sequence number
	Until       time.Time // end before the first message stored after this time; zero: no limit
	Stop        bool      // end with the last message that the stream has at the beginning
	Before      uint64    // with Stop, end before this sequence number; 0: no limit
	HeadersOnly bool      // without payloads
}

// Beginning is a time before every message. A section since then begins with the first message.
var Beginning = time.Unix(1, 0)

// Message is a message of the stream.
type Message struct {
	jetstream.Msg
	Sequence      uint64
	Stored        time.Time
	StreamCreated time.Time // a stream that was created again has the same sequence numbers
	Pending       uint64    // about how many messages follow in the section
}

// IsMarker reports whether the stream itself has stored the message, because the last one on its subject was
// removed: it has subject_delete_marker_ttl.
func (m Message) IsMarker() bool { return m.Headers().Get(jetstream.MarkerReasonHeader) != "" }

// IsUnavailable reports whether the error means that there is no JetStream, or none for this account.
func IsUnavailable(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// Reader reads a section.
type Reader struct {
	JetStream jetstream.JetStream
	Section   Section
	Name      string // prefix of the consumers' names
	// Names, if set, are the only names that the account may give to consumers. If another reader uses the
	// same names at the same time, a message may be handled twice.
	Names []string
	// Handle is called with one message at a time. Its error ends Run.
	Handle func(Message) error
	// Report, if set, is called with the error of each failed attempt to read, and with nil when a
	// consumer was created.
	Report func(error)
	// Restart, if set, is called before the messages of a stream that was created again: those that were
	// handled are gone.
	Restart func()
	// Denied, if set together with Names, holds the rights that NATS has denied on the connection. Run
	// ends with [ErrNoRights] once NATS has denied a consumer with one of the names.
	Denied *Denied

	created time.Time // when the stream was created; zero: not known yet
	next    uint64    // the next sequence number to read; 0: begin with Since
	until   uint64    // the last sequence number of the section
	ahead   bool      // Since is by our clock, which may be ahead of the server's
	end     context.CancelCauseFunc
}

const (
	requestTimeout = 5 * time.Second
	heartbeat      = 5 * time.Second  // of an idle consumer; it ends when two are missing
	silence        = 5 * time.Second  // how long to wait for a message that the stream has
	inactive       = 30 * time.Second // after which the server removes a consumer
	pause          = 500 * time.Millisecond
	maxMessages    = 500              // in one request
	maxBytes       = 16 << 20         // in one request; a server holds 64 MiB for a slow client
	patience       = 15 * time.Second // without progress, for a section with Stop
)

var (
	// ErrUnreadable means that the stream can't be read, however often it is tried.
	ErrUnreadable = errors.New("the stream can't be read")
	// ErrNoRights means that our account may ask for the stream, but not read it.
	ErrNoRights = fmt.Errorf("%w: our account may not create a consumer on it: grant the right, see docs/operations.md", ErrUnreadable)
	// ErrRecreated is reported when the stream was created again. Reading continues with its first
	// message.
	ErrRecreated = errors.New("the stream was deleted and created again")

	errDone    = errors.New("the section is read")
	errDrained = errors.New("the consumer has no more messages")
	errBehind  = errors.New("the replica that was read lacks messages that the leader has")
	errBroken  = errors.New("the connection broke")
	errOther   = errors.New("the stream or the consumer was created again in the meantime")
	errMissing = errors.New("messages were lost on the way")
	errSilent  = errors.New("no message came, although the stream has more")
	errInUse   = errors.New("all consumer names that the account may use are taken")
	errQueue   = fmt.Errorf("%w: it has work-queue retention, which allows no consumer that doesn't remove what it reads", ErrUnreadable)
)

// Run reads the section: until it is complete if it has Stop, else until the context ends. It returns the
// error of the context or of Handle, and tries again after other errors. It gives up a section with Stop
// after a while without progress.
func (r *Reader) Run(ctx context.Context) error {
	ctx, r.end = context.WithCancelCause(ctx)
	defer r.end(nil)
	if r.Report == nil {
		r.Report = func(error) {}
	}
	var failing time.Time
	for {
		before := r.next
		err := r.attempt(ctx)
		if r.next != before {
			failing = time.Time{}
		}
		switch {
		case errors.Is(err, errDone):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, nats.ErrConnectionClosed), r.Section.Stop && errors.Is(err, ErrUnreadable):
			return err
		case errors.Is(err, errDrained), // the next consumer shows whether the section is complete
			errors.Is(err, errMissing) && r.next != before: // nats.go drops messages when its buffer is full
			continue
		case errors.Is(err, errBroken), !r.JetStream.Conn().IsConnected(): // the owner of the connection reports it
		case failing.IsZero():
			failing = time.Now()
			r.Report(err)
		case r.Section.Stop && time.Since(failing) > patience:
			return err
		default:
			r.Report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// attempt creates a consumer and reads it until it ends.
func (r *Reader) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go r.watch(ctx, cancel, r.JetStream.Conn().StatusChanged(nats.RECONNECTING, nats.CLOSED), time.Now())
	err := r.open(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, errDone) {
		return cause
	}
	return err
}

// watch ends the attempt when the connection breaks, because messages may be lost then. It ends Run when a
// right is denied.
func (r *Reader) watch(ctx context.Context, cancel context.CancelCauseFunc, breaks chan nats.Status, began time.Time) {
	defer r.JetStream.Conn().RemoveStatusListener(breaks)
	var poll <-chan time.Time
	if r.Denied != nil {
		poll = time.Tick(20 * time.Millisecond)
	}
	requests := consumerRequests(r.Section.Stream, r.Names)
	for {
		select {
		case <-ctx.Done():
			return
		case <-breaks:
			cancel(errBroken)
			return
		case <-poll:
			if r.Denied.RightFor(requests, began) != "" {
				r.end(ErrNoRights)
			}
		}
	}
}

func (r *Reader) open(ctx context.Context) error {
	stream, err := r.locate(ctx)
	if err != nil {
		return err
	}
	isRead := r.Section.Stop && r.next > r.until
	if isRead && len(r.Names) == 0 { // with Names, an account that may not create a consumer is an error
		return errDone
	}
	consumer, err := r.attach(ctx, stream)
	if err != nil {
		return err
	}
	defer r.detach(ctx, consumer)
	r.Report(nil)
	if isRead {
		return errDone
	}
	if r.Section.Stop && consumer.CachedInfo().NumPending == 0 {
		if consumer.atLeader {
			return errDone
		}
		return errBehind
	}
	before := r.next
	err = r.read(ctx, consumer)
	if len(r.Names) > 0 && r.next != before && !r.isStillOurs(ctx, stream, consumer) {
		r.next = before // it may have been another reader's, which began at another message
		return errOther
	}
	return err
}

// read handles the consumer's messages until it ends or fails.
func (r *Reader) read(ctx context.Context, consumer *consumer) error {
	bytes := max(maxBytes, 2*int(r.JetStream.Conn().MaxPayload())) // the largest message must fit
	messages, err := consumer.Messages(jetstream.PullHeartbeat(heartbeat), jetstream.PullMaxMessagesWithBytesLimit(maxMessages, bytes))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	wait := time.Duration(0) // no limit
	if r.Section.Stop {
		wait = silence
	}
	for next := uint64(1); ; next++ {
		m, err := messages.Next(jetstream.NextMaxWait(wait))
		switch {
		case errors.Is(err, nats.ErrTimeout):
			return errSilent
		case err != nil:
			return err
		}
		if err := r.take(m, next); err != nil {
			return err
		}
	}
}

// take handles the consumer's next message. errDone means that it was the last of the section.
func (r *Reader) take(m jetstream.Msg, next uint64) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	if meta.Sequence.Consumer != next {
		return errMissing
	}
	sequence := meta.Sequence.Stream
	if sequence < r.next { // from another reader's consumer of the same name
		return errOther
	}
	if r.Section.Stop && sequence > r.until || !r.Section.Until.IsZero() && meta.Timestamp.After(r.Section.Until) {
		return errDone
	}
	if !meta.Timestamp.Before(r.Section.Since) {
		if err := r.Handle(Message{
			Msg: m, Sequence: sequence, Stored: meta.Timestamp, StreamCreated: r.created, Pending: meta.NumPending,
		}); err != nil {
			r.end(err)
			return err
		}
	}
	r.next = sequence + 1
	switch {
	case r.Section.Stop && sequence == r.until:
		return errDone
	case r.Section.Stop && meta.NumPending == 0:
		return errDrained // its replica has no more
	}
	return nil
}
