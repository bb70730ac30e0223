// Package publish brings messages into JetStream. [Publisher.Publish] returns without an error only
// once the stream has acknowledged the message; then, and only then, is it durable.
//
// A Publisher works from the moment it is made, with NATS away too: it then refuses at once. It
// connects, and checks or makes its streams, by itself and for as long as it takes. Nothing that it
// has refused waits in a buffer to be sent later.
package publish

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// Config is all that a [Publisher] needs.
type Config struct {
	Server     Server
	Stream     Stream        // of the events
	Quarantine *Stream       // of what is quarantined; nil where nothing is
	Timeout    time.Duration // for the acknowledgement of a message that is published directly
	// SpoolTimeout is for those of messages from the spool, which can wait; 0: DefaultSpoolTimeout.
	SpoolTimeout time.Duration
	Windows      string // file that remembers the streams' effective duplicate windows; "": none
	ReadOnly     bool   // that file is another process' own
	EmptySpool   bool   // no message that is published from the spool is older than this process
	Log          *zap.Logger
}

// Publisher publishes over one connection, to one stream for each kind of message.
type Publisher struct {
	config   Config
	link     *link
	monitors [durable.Kinds]*monitor // nil where there is no stream for the kind
	room     *room                   // of the quarantine's stream, nil where there is none
	windows  *windows
	direct   *acks // of Publish
	spooled  *acks // of PublishAll
	queue    sendQueue
	opening  sync.Mutex
	session  atomic.Pointer[session]
}

// Open returns a publisher that is about to connect, or an error where the configuration itself is
// at fault: a credentials file that can't be used, say.
func Open(c Config) (*Publisher, error) {
	if c.SpoolTimeout == 0 {
		c.SpoolTimeout = DefaultSpoolTimeout
	}
	p := &Publisher{
		config: c, windows: openWindows(c.Windows, c.ReadOnly, c.EmptySpool, c.Log),
		direct: newAcks("d", c.Timeout, c.Server.Domain), spooled: newAcks("s", c.SpoolTimeout, c.Server.Domain),
	}
	p.monitors[durable.Event] = newMonitor(c.Stream, p.windows, c.Log)
	if c.Quarantine != nil {
		p.monitors[durable.Quarantined] = newMonitor(*c.Quarantine, p.windows, c.Log)
		p.monitors[durable.Refused] = p.monitors[durable.Quarantined] // the same stream
		p.room = p.newRoom(*c.Quarantine)
	}
	p.link = newLink(c.Log, p.each((*monitor).check), func() { p.fail(nats.ErrDisconnected) }, p.reopen)
	p.link.server = c.Server
	if c.Server.lookUp != nil {
		p.link.lookUp = c.Server.lookUp
	}
	if err := p.open(); err != nil {
		p.link.stop()
		p.windows.stop()
		return nil, err
	}
	p.each(func(m *monitor) {
		m.start(func() (*conn, jetstream.JetStream) { return p.link.connection(), p.session.Load().js })
	})()
	return p, nil
}

// each returns a function that does something to every monitor.
func (p *Publisher) each(do func(*monitor)) func() {
	return func() {
		for kind, k := range p.monitors {
			if k != nil && kind != int(durable.Refused) {
				do(k)
			}
		}
	}
}

// Publish publishes the message and waits for the stream's acknowledgement. It never waits longer
// than about the timeout, also where NATS has just gone silent. The error is an [Error].
func (p *Publisher) Publish(ctx context.Context, m durable.Message) (durable.Status, error) {
	if err := p.admit(ctx, m); err != nil {
		return "", err
	}
	o, w, err := p.begin(m, p.direct)
	if err != nil {
		return "", err
	}
	if p.queue.put(o) {
		go p.flush() // it may take longer than this message has, with those of others
	}
	r := p.await(ctx, o, w)
	return r.Status, r.Err
}

// Result is what became of one of several messages.
type Result struct {
	Status durable.Status
	Took   time.Duration // until the acknowledgement, where there is one
	Made   time.Time     // when the stream was made, as it was known when the message was sent
	Err    error
}

// DefaultSpoolTimeout is how long the acknowledgement of a message from the spool is awaited. A busy disk, a
// stretched cluster or a slow line take seconds; the message has minutes.
const DefaultSpoolTimeout = 10 * time.Second

// PublishAll publishes messages from the spool in order, without waiting for one before it sends the next,
// and returns what became of each.
func (p *Publisher) PublishAll(ctx context.Context, messages []durable.Message) []Result {
	results := make([]Result, len(messages))
	waits, sent := make([]*wait, len(messages)), make([]outgoing, len(messages))
	batch, size := make([]outgoing, 0, len(messages)), 0
	for i, m := range messages {
		if err := p.admit(ctx, m); err != nil {
			results[i].Err = err
			continue
		}
		o, w, err := p.begin(m, p.spooled)
		if err != nil {
			results[i].Err = err
			continue
		}
		waits[i], sent[i], batch = w, o, append(batch, o)
		if size += len(m.Data); size >= maxChunk {
			p.send(batch)
			batch, size = batch[:0], 0
		}
	}
	p.send(batch)
	for i, w := range waits {
		if w != nil {
			results[i] = p.await(ctx, sent[i], w)
		}
	}
	return results
}

// maxChunk is how many bytes are sent before the time of the messages behind them begins: on a slow link they
// would spend it waiting for their turn.
const maxChunk = 256 << 10

// send hands messages over, and returns when they are.
func (p *Publisher) send(batch []outgoing) {
	if len(batch) > 0 && p.queue.put(batch...) {
		p.flush()
	}
}

// begin begins to wait for the message's acknowledgement, unless it is clear that there will be none.
func (p *Publisher) begin(m durable.Message, of *acks) (outgoing, *wait, error) {
	if err := p.link.open(); err != nil {
		return outgoing{}, nil, &Error{durable.ErrUnavailable, Disconnected, err}
	}
	if err := p.Check(m); err != nil {
		return outgoing{}, nil, err
	}
	if p.link.forbidden.has(m.Subject) {
		return outgoing{}, nil, &Error{durable.ErrRefused, Forbidden, errForbidden}
	}
	monitor := p.monitors[m.Kind]
	number, w := of.begin(m, monitor.stream.Name, monitor.madeAt())
	return outgoing{m, monitor.stream.Name, of, number}, w, nil
}

// await waits for one acknowledgement.
func (p *Publisher) await(ctx context.Context, m outgoing, w *wait) Result {
	var o outcome
	select {
	case o = <-w.done:
	case <-ctx.Done():
		m.acks.abandon(m.number, ctx.Err())
		o = <-w.done // there is one now, whichever came first
	}
	m.acks.spare.Put(w)
	switch {
	case o.err != nil:
		return Result{Err: p.failed(m.Message, o.err)}
	case o.duplicate:
		return Result{Status: durable.Duplicate, Took: o.took, Made: o.made}
	}
	return Result{Status: durable.Stored, Took: o.took, Made: o.made}
}

// OnLate has f called for each message that is acknowledged after its caller has given up. f must not wait.
func (p *Publisher) OnLate(f func(LateAck)) {
	for _, a := range []*acks{p.direct, p.spooled} {
		a.mu.Lock()
		a.late = f
		a.mu.Unlock()
	}
}

// fail gives up on all messages.
func (p *Publisher) fail(err error) {
	p.direct.fail(err)
	p.spooled.fail(err)
}

// Check returns an error where it is known that the message will not be taken: it is too large.
func (p *Publisher) Check(m durable.Message) error {
	k := p.monitors[m.Kind]
	if size, limit := sizeOf(m, k.stream.Name), k.limit.Load(); limit > 0 && size > limit {
		k.check() // it may have been raised
		return &Error{durable.ErrTooLarge, TooLarge, fmt.Errorf("%d bytes, of which %d are allowed", size, limit)}
	}
	return nil
}

// sizeOf is what the server counts of a message: headers, with those that publishing adds, and data.
func sizeOf(m durable.Message, stream string) int64 {
	size := len("NATS/1.0\r\n\r\n") + len(m.Data) + headerSize(jetstream.MsgIDHeader, m.ID) + headerSize(jetstream.ExpectedStreamHeader, stream)
	for _, h := range m.Headers {
		size += headerSize(h.Name, h.Value)
	}
	return int64(size)
}

func headerSize(name, value string) int { return len(name) + len(": \r\n") + len(value) }

// failed gives an error its meaning (see failure.go) and has the stream looked after where the
// error says that something is wrong with it.
func (p *Publisher) failed(m durable.Message, err error) error {
	if cause, _ := meaning(err); cause == TimedOut && p.link.forbidden.has(m.Subject) {
		err = errForbidden
	}
	cause, stream := meaning(err)
	if stream {
		p.monitors[m.Kind].check()
	}
	return &Error{cause.kind(), cause, err}
}

// IsConnected says whether there is a connection to NATS.
func (p *Publisher) IsConnected() bool { return p.link.isUp() }

// Ready returns nil while a message of the kind can be published: NATS is connected and the stream is
// there, as it must be. It never waits.
func (p *Publisher) Ready(kind durable.Kind) error {
	if err := p.link.ready(); err != nil {
		return err
	}
	return p.monitors[kind].ready(p.link.connection())
}

// Window returns how far back the kind's stream is known to recognise an id, which may be less than its
// duplicate window where that was raised; 0 until it is known.
func (p *Publisher) Window(kind durable.Kind) time.Duration {
	return p.windows.of(p.monitors[kind].stream.Name)
}

// ConfiguredWindow returns the duplicate window of the kind's stream; 0 until it is known.
func (p *Publisher) ConfiguredWindow(kind durable.Kind) time.Duration {
	return time.Duration(p.monitors[kind].window.Load())
}

// Close waits for the acknowledgements that are still awaited, until the context ends, and
// disconnects.
func (p *Publisher) Close(ctx context.Context) error {
	p.link.stop()
	p.each((*monitor).stop)()
	p.windows.stop()
	p.opening.Lock() // no session begins after this one
	defer p.opening.Unlock()
	s := p.session.Load()
	var err error
	for _, a := range []*acks{p.direct, p.spooled} {
		select {
		case <-a.complete():
		case <-ctx.Done():
			if n := a.waiting(); n > 0 {
				err = fmt.Errorf("closing: %d acknowledgements are still awaited", n)
			}
		}
	}
	p.fail(jetstream.ErrJetStreamPublisherClosed)
	if c := p.link.current.Load(); c != nil {
		_ = c.Close() // or nats.go waits until a write that is going on has ended
	}
	s.nc.Close()
	select {
	case <-p.windows.stopped:
	case <-ctx.Done():
	}
	return err
}

// Settle returns once everything can be published, but at the latest after the bound, and at once where
// NATS is known to be away.
func (p *Publisher) Settle(ctx context.Context, bound time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.link.lastError.Load() == nil && p.isSettling() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// isSettling says whether it isn't known yet of some stream whether it is there.
func (p *Publisher) isSettling() (settling bool) {
	c := p.link.connection()
	p.each(func(m *monitor) {
		settling = settling || c == nil || m.ready(c) != nil && m.lastError.Load() == nil
	})()
	return settling
}
