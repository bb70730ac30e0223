// Package publish brings messages into JetStream. [Publisher.Publish] returns without an error only
// once the stream has acknowledged the message; then, and only then, is it durable.
//
// A Publisher works from the moment it is made, with NATS away too: it then refuses at once. It
// connects, and checks or makes its stream, by itself and for as long as it takes. Nothing that it
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

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// Config is all that a [Publisher] needs.
type Config struct {
	Server  Server
	Stream  Stream
	Timeout time.Duration // for one acknowledgement
	Log     *zap.Logger
}

// Publisher publishes to one stream over one connection.
type Publisher struct {
	config  Config
	link    *link
	keeper  *keeper
	opening sync.Mutex
	session atomic.Pointer[session]
}

// Open returns a publisher that is about to connect, or an error where the configuration itself is
// at fault: a credentials file that can't be used, say.
func Open(c Config) (*Publisher, error) {
	p := &Publisher{config: c, keeper: newKeeper(c.Stream, c.Log)}
	p.link = newLink(c.Log, p.keeper.check, p.keeper.forget, p.reopen)
	if err := p.open(); err != nil {
		p.link.stop()
		return nil, err
	}
	p.keeper.start(func() jetstream.JetStream { return p.session.Load().js })
	return p, nil
}

// Publish publishes the message and waits for the stream's acknowledgement. It never waits longer
// than about the timeout, also where NATS has just gone silent.
func (p *Publisher) Publish(ctx context.Context, m durable.Message) (durable.Status, error) {
	future, err := p.send(m)
	if err != nil {
		return "", err
	}
	select {
	case ack := <-future.Ok():
		if ack.Duplicate {
			return durable.Duplicate, nil
		}
		return durable.Stored, nil
	case err := <-future.Err():
		return "", p.failed(err)
	case <-ctx.Done():
		return "", p.failed(ctx.Err())
	}
}

// send hands the message to nats.go.
func (p *Publisher) send(m durable.Message) (jetstream.PubAckFuture, error) {
	if err := p.link.enter(); err != nil {
		return nil, err
	}
	defer p.link.leave()
	stream := p.config.Stream.Name
	message := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{"Content-Type": []string{event.ContentType}}}
	if size, limit := sizeOf(message, m.ID, stream), p.keeper.limit.Load(); limit > 0 && size > limit {
		p.keeper.check() // it may have been raised
		return nil, fmt.Errorf("%w: %d bytes, of which %d are allowed", durable.ErrTooLarge, size, limit)
	}
	future, err := p.session.Load().js.PublishMsgAsync(message,
		jetstream.WithMsgID(m.ID),
		jetstream.WithExpectStream(stream),
		jetstream.WithRetryAttempts(0), // a retry would overtake nothing here, but outlast the answer
	)
	if err != nil {
		return nil, p.failed(err)
	}
	return future, nil
}

// sizeOf is what the server counts of a message: headers, with those that publishing adds, and data.
func sizeOf(m *nats.Msg, id, stream string) int64 {
	size := len("NATS/1.0\r\n\r\n") + len(m.Data)
	for name, values := range m.Header {
		for _, value := range values {
			size += len(name) + len(": \r\n") + len(value)
		}
	}
	for _, header := range [][2]string{{jetstream.MsgIDHeader, id}, {jetstream.ExpectedStreamHeader, stream}} {
		size += len(header[0]) + len(": \r\n") + len(header[1])
	}
	return int64(size)
}

// failed gives an error its meaning (see failure.go) and has the stream looked after where the
// error says that something is wrong with it.
func (p *Publisher) failed(err error) error {
	f := meaning(err)
	if f.stream {
		p.keeper.check()
	}
	return fmt.Errorf("publishing: %w: %w", f.kind, err)
}

// IsConnected says whether there is a connection to NATS.
func (p *Publisher) IsConnected() bool { return p.link.isUp() }

// Ready returns nil while a message can be published: NATS is connected and the stream is there,
// as it must be. It never waits.
func (p *Publisher) Ready() error {
	if err := p.link.ready(); err != nil {
		return err
	}
	return p.keeper.ready()
}

// Close waits for the acknowledgements that are still awaited, until the context ends, and
// disconnects.
func (p *Publisher) Close(ctx context.Context) error {
	p.link.stop()
	p.keeper.stop()
	p.opening.Lock() // no session begins after this one
	defer p.opening.Unlock()
	s := p.session.Load()
	var err error
	select {
	case <-s.js.PublishAsyncComplete():
	case <-ctx.Done():
		if n := s.js.PublishAsyncPending(); n > 0 {
			err = fmt.Errorf("closing: %d acknowledgements are still awaited", n)
		}
		s.js.CleanupPublisher() // ends the waiting
	}
	s.nc.Close()
	return err
}

// Settle returns once the publisher is ready, but at the latest after the bound, and at once where
// NATS is known to be away.
func (p *Publisher) Settle(ctx context.Context, bound time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.Ready() != nil && p.link.lastError.Load() == nil && p.keeper.lastError.Load() == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
