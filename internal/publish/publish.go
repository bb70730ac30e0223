// Package publish publishes messages to JetStream. [Publisher.Publish] returns nil only after the
// stream has acknowledged the message: only then is it durable.
//
// A Publisher can be used as soon as it is open. While NATS is away it refuses messages at once. It
// connects in the background, and checks or creates its streams, however long that takes. A refused message
// is never sent later.
package publish

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"
)

// Config is all that a [Publisher] needs.
type Config struct {
	Server     Server
	Stream     Stream        // of the events
	Quarantine *Stream       // of quarantined deliveries; nil: none
	Timeout    time.Duration // for the acknowledgement of a message that is published directly
	Largest    int64         // the size of a message with a body of MAX_BODY_BYTES; the log warns of a lower limit
	WindowDir  string        // of the files with the streams' effective duplicate windows; "": none are kept
	Log        *zap.Logger
}

// Publisher publishes over one connection, to one stream for each kind of message.
type Publisher struct {
	config   Config
	monitors [Kinds]*monitor // by kind; nil: the kind has no stream
	streams  []*monitor      // by stream
	acks     *acks
	queue    sendQueue

	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	session   atomic.Pointer[session] // the last one; nil: there was none
	inbox     string                  // of all sessions: an acknowledgement may come in a later one
	lastError atomic.Pointer[error]   // why there is no connection
}

// Open returns a publisher that connects in the background. It returns an error only for a
// configuration that can't be used, such as an invalid credentials file.
func Open(c Config) (*Publisher, error) {
	if err := c.Server.check(); err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	p := &Publisher{config: c, acks: newAcks(c.Server.Domain), inbox: c.Server.inboxPrefix() + "." + nuid.Next()}
	p.queue.msg.Header = make(nats.Header)
	events := newMonitor(c, c.Stream)
	p.monitors[Event], p.streams = events, []*monitor{events}
	if c.Quarantine != nil {
		m := newMonitor(c, *c.Quarantine)
		p.monitors[Quarantined], p.monitors[Refused] = m, m
		p.streams = append(p.streams, m)
		m.room = &room{reason: c.Quarantine.ProtectedReason, limit: c.Quarantine.MaxBytes, check: m.check}
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.run()
	return p, nil
}

// Publish publishes the message and waits for the stream's acknowledgement. It never waits much
// longer than Timeout, even if NATS has just gone silent. The error is an [Error].
func (p *Publisher) Publish(ctx context.Context, m Message) (Status, error) {
	o, err := p.begin(m, p.config.Timeout)
	if err != nil {
		return "", err
	}
	if p.queue.put(o) {
		go p.flush() // in the background: to send others' messages too may take longer than the time-out
	}
	r := p.await(ctx, o)
	return r.Status, r.Err
}

// Result is the result of publishing a message.
type Result struct {
	Status Status
	Took   time.Duration // until the acknowledgement
	Place  Place
	Err    error
}

// spoolTimeout is how long to wait for the acknowledgement of a message from the spool. A
// busy disk, a stretched cluster or a slow line take seconds, and the message has minutes.
const spoolTimeout = 10 * time.Second

// PublishAll publishes messages from the spool in order. It sends each without waiting for the
// acknowledgement of the one before, and returns a result for each.
func (p *Publisher) PublishAll(ctx context.Context, messages []Message) []Result {
	results := make([]Result, len(messages))
	sent := make([]outgoing, len(messages))
	size := 0
	for i, m := range messages {
		if sent[i], results[i].Err = p.begin(m, spoolTimeout); results[i].Err != nil {
			continue
		}
		p.queue.put(sent[i])
		if size += len(m.Data); size >= maxChunk {
			p.flush()
			size = 0
		}
	}
	p.flush()
	for i, o := range sent {
		if results[i].Err == nil {
			results[i] = p.await(ctx, o)
		}
	}
	return results
}

// maxChunk is how many bytes are sent before the time-outs of the next messages begin. On a slow line these
// would otherwise pass while the messages wait for their turn.
const maxChunk = 256 << 10

// begin registers the message for its acknowledgement. It returns an error if the message can't be
// sent now.
func (p *Publisher) begin(m Message, timeout time.Duration) (outgoing, error) {
	s, err := p.connected()
	if p.ctx.Err() != nil {
		err = fmt.Errorf("%w: closing", ErrUnavailable)
	}
	if err != nil {
		return outgoing{}, &Error{Disconnected, err}
	}
	if err := p.Check(m); err != nil {
		return outgoing{}, err
	}
	if s.isForbidden(m.Subject) {
		return outgoing{}, &Error{Forbidden, errForbidden}
	}
	monitor := p.monitors[m.Kind]
	if m.Kind == Refused {
		if err := monitor.room.admit(sizeOf(m, monitor.stream.Name)); err != nil {
			return outgoing{}, err
		}
	}
	place := Place{StreamCreated: monitor.lastWindow().Created, Epoch: p.Epoch(m.Kind)}
	return outgoing{m, p.acks.begin(m, monitor.stream.Name, place, timeout)}, nil
}

// await returns the message's result once there is one, or the context ends.
func (p *Publisher) await(ctx context.Context, m outgoing) Result {
	var r Result
	select {
	case r = <-m.done:
	case <-ctx.Done():
		p.acks.giveUp(m.awaited, ctx.Err())
		r = <-m.done // the error, or a result that came just before
	}
	if r.Err != nil {
		r.Err = p.failed(m.Message, r.Err)
	}
	return r
}

// Timeout returns the time-out of a message that is published directly.
func (p *Publisher) Timeout() time.Duration { return p.config.Timeout }

// Kinds returns the kinds of messages that have a stream.
func (p *Publisher) Kinds() []Kind {
	if p.config.Quarantine == nil {
		return []Kind{Event}
	}
	return []Kind{Event, Quarantined, Refused}
}

// OnLate sets a function that is called for each message that is acknowledged after its caller had an error,
// with its place. The function must not block.
func (p *Publisher) OnLate(f func(Delivery, Place)) {
	p.acks.mu.Lock()
	defer p.acks.mu.Unlock()
	p.acks.late = f
}

// Check returns an error if the message is too large for the server or the stream.
func (p *Publisher) Check(m Message) error {
	monitor := p.monitors[m.Kind]
	if size, limit := sizeOf(m, monitor.stream.Name), monitor.limit.Load(); limit > 0 && size > limit {
		monitor.tooLarge.Store(true)
		monitor.check() // the limit may have been raised
		return &Error{TooLarge, fmt.Errorf("message of %d bytes, at most %d are allowed", size, limit)}
	}
	return nil
}

// sizeOf returns a message's size as the server counts it: data and all headers, also those added here.
func sizeOf(m Message, stream string) int64 {
	size := len("NATS/1.0\r\n\r\n") + len(m.Data)
	size += headerSize(jetstream.MsgIDHeader, m.ID) + headerSize(jetstream.ExpectedStreamHeader, stream)
	for _, h := range m.Headers {
		size += headerSize(h.Name, h.Value)
	}
	return int64(size)
}

func headerSize(name, value string) int { return len(name) + len(": \r\n") + len(value) }

// failed returns the [Error] for a failed publish, and requests a check of the stream if that may be the
// cause.
func (p *Publisher) failed(m Message, err error) error {
	cause := classify(err)
	switch {
	case cause == TimedOut && p.session.Load().isForbidden(m.Subject):
		err, cause = errForbidden, Forbidden
	case (cause == NoStream || cause == WrongStream) && !p.monitors[m.Kind].takes(m.Subject):
		err, cause = errOtherSubject, OtherSubject
	}
	if causes[cause].recheck {
		p.monitors[m.Kind].check()
	}
	return &Error{cause, err}
}

// IsConnected reports whether there is a connection to NATS.
func (p *Publisher) IsConnected() bool {
	_, err := p.connected()
	return err == nil
}

// Ready returns nil while messages of the kind can be published: NATS is connected, and the stream is
// verified. It never waits.
func (p *Publisher) Ready(kind Kind) error {
	s, err := p.connected()
	if err != nil {
		return err
	}
	m := p.monitors[kind]
	if err := m.ready(s); err != nil || kind != Refused {
		return err
	}
	return m.room.ready()
}

// Epoch returns how often the kind's stream has become ready. When it wasn't, it may have been restored from an
// older copy, and may since have grown again.
func (p *Publisher) Epoch(kind Kind) int64 { return p.monitors[kind].epoch.Load() }

// Window returns how far back the kind's stream is sure to recognise the ids that it has stored, as of the
// last check. For a while after the stream's duplicate window was raised, that is less than the window.
func (p *Publisher) Window(kind Kind) time.Duration { return p.monitors[kind].lastWindow().now() }

// Close waits for outstanding acknowledgements until the context ends, and disconnects.
func (p *Publisher) Close(ctx context.Context) error {
	p.cancel()
	var err error
	waitWhile(ctx, func() bool { return p.acks.waiting() > 0 })
	if n := p.acks.waiting(); n > 0 && ctx.Err() != nil { // else the wait was over before these messages came
		err = fmt.Errorf("closing publisher: messages without an acknowledgement: %d", n)
	}
	p.acks.fail(jetstream.ErrJetStreamPublisherClosed)
	if s := p.session.Load(); s != nil {
		_ = s.Close()
	}
	for _, m := range p.streams {
		select {
		case m.saving <- struct{}{}: // its file isn't being written
		case <-ctx.Done():
		}
	}
	return err
}

// AwaitChecks waits until each stream was checked for the first time, for the bound at most. It returns at
// once if NATS is known to be away.
func (p *Publisher) AwaitChecks(ctx context.Context, bound time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	isUnchecked := func(m *monitor) bool {
		s, err := p.connected()
		return err != nil || m.ready(s) != nil && m.lastError.Load() == nil
	}
	waitWhile(ctx, func() bool { return p.lastError.Load() == nil && slices.ContainsFunc(p.streams, isUnchecked) })
}

// waitWhile waits while the condition holds, until the context ends.
func waitWhile(ctx context.Context, condition func() bool) {
	for ctx.Err() == nil && condition() {
		time.Sleep(time.Millisecond)
	}
}
