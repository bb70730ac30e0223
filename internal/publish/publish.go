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
	timeout time.Duration
	log     *zap.Logger
	link    *link
	keeper  *keeper
	nc      *nats.Conn
	js      jetstream.JetStream
}

// Open returns a publisher that is connecting, or an error where the configuration itself is at
// fault: a credentials file that can't be used, say.
func Open(c Config) (*Publisher, error) {
	p := &Publisher{timeout: c.Timeout, log: c.Log}
	p.keeper = newKeeper(c.Stream, c.Log)
	p.link = &link{log: c.Log, onUp: p.keeper.check, onDown: p.keeper.forget}
	var err error
	if p.nc, err = c.Server.connect(p.link); err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	if p.js, err = c.Server.JetStream(p.nc, jetstream.WithPublishAsyncTimeout(c.Timeout), jetstream.WithPublishAsyncMaxPending(maxPending)); err != nil {
		p.nc.Close()
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	p.keeper.start(p.js)
	return p, nil
}

// maxPending is how many acknowledgements may be awaited at one time; the limit of bytes in flight
// is reached before it.
const maxPending = 1 << 16

// Publish publishes the message and waits for the stream's acknowledgement. It never waits longer
// than about the timeout, also where NATS has just gone silent.
func (p *Publisher) Publish(ctx context.Context, m durable.Message) (durable.Status, error) {
	// No call into nats.go before this: its connection is locked while it dials a server that
	// doesn't answer.
	if err := p.link.ready(); err != nil {
		return "", err
	}
	message := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{"Content-Type": []string{event.ContentType}}}
	if size, limit := sizeOf(message, m.ID, p.keeper.stream.Name), p.limit(); size > limit {
		return "", fmt.Errorf("%w: %d bytes, of which %d are allowed", durable.ErrTooLarge, size, limit)
	}
	future, err := p.js.PublishMsgAsync(message,
		jetstream.WithMsgID(m.ID),
		jetstream.WithExpectStream(p.keeper.stream.Name),
		jetstream.WithRetryAttempts(0), // a retry would overtake nothing here, but outlast the answer
	)
	if err != nil {
		return "", p.failed(err)
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

// limit is how large a message may be: what the server takes, or what the stream takes if that is
// less.
func (p *Publisher) limit() int64 {
	limit := p.link.maxPayload.Load()
	if stream := p.keeper.maxMessage.Load(); stream > 0 {
		limit = min(limit, stream)
	}
	return limit
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
func (p *Publisher) IsConnected() bool { return p.link.up.Load() }

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
	p.link.closing.Store(true)
	p.keeper.stop()
	var err error
	select {
	case <-p.js.PublishAsyncComplete():
	case <-ctx.Done():
		err = fmt.Errorf("closing: %d acknowledgements are still awaited", p.js.PublishAsyncPending())
	}
	p.js.CleanupPublisher()
	p.nc.Close()
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
