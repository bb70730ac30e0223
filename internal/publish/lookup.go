package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// ErrNoRights says that our account may not read the stream.
var ErrNoRights = errors.New("our account may not create a consumer on the stream")

const (
	scanBatch   = 5000
	scanSilence = 5 * time.Second // without a message the scan has failed
)

// Stored reads the ids of all that the kind's stream has stored since a time, headers only, and returns
// those of them that wanted says yes to. The error is [ErrNoRights] where the account doesn't let us.
func (p *Publisher) Stored(ctx context.Context, kind durable.Kind, since time.Time, wanted func(id string) bool) (map[string]bool, error) {
	if err := p.Ready(kind); err != nil {
		return nil, fmt.Errorf("looking up: %w", err)
	}
	stream := p.monitors[kind].stream.Name
	if p.link.mayNotRead(stream) {
		return nil, ErrNoRights
	}
	found, err := Scan(ctx, p.session.Load().js, stream, since, wanted)
	if err != nil && p.link.mayNotRead(stream) {
		return nil, ErrNoRights
	}
	return found, err
}

// Scan is [Publisher.Stored] for a command, which has a connection of its own.
func Scan(ctx context.Context, js jetstream.JetStream, stream string, since time.Time, wanted func(id string) bool) (map[string]bool, error) {
	found := make(map[string]bool)
	err := Headers(ctx, js, stream, since, func(m jetstream.Msg) {
		if id := m.Headers().Get(nats.MsgIdHdr); id != "" && wanted(id) {
			found[id] = true
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking up in stream %s: %w", stream, err)
	}
	return found, nil
}

// Headers hands to visit, in order, the headers of all that the stream has stored since a time, or of all
// there is where that is zero: not of what comes meanwhile.
func Headers(ctx context.Context, js jetstream.JetStream, stream string, since time.Time, visit func(jetstream.Msg)) error {
	c := jetstream.ConsumerConfig{
		HeadersOnly: true, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if !since.IsZero() {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	creating, cancel := context.WithTimeout(ctx, scanSilence)
	defer cancel()
	consumer, err := js.CreateConsumer(creating, stream, c)
	if err != nil {
		return err
	}
	defer func() {
		deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = js.DeleteConsumer(deleting, stream, consumer.CachedInfo().Name) // or it goes by itself
	}()
	return read(ctx, consumer, visit)
}

// read reads what the stream had when the consumer was made.
func read(ctx context.Context, consumer jetstream.Consumer, visit func(jetstream.Msg)) error {
	for last, left := uint64(0), consumer.CachedInfo().NumPending; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		fetching, cancel := context.WithTimeout(ctx, scanSilence)
		defer cancel() // few batches; each context ends by itself
		batch, err := consumer.Fetch(scanBatch, jetstream.FetchContext(fetching))
		if err != nil {
			return err
		}
		before := last
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			if meta.Sequence.Consumer != last+1 { // some were on their way when the connection broke
				return fmt.Errorf("message %d came after %d", meta.Sequence.Consumer, last)
			}
			last, left = meta.Sequence.Consumer, min(left-1, meta.NumPending)
			visit(m)
			if left == 0 {
				break
			}
		}
		if err := batch.Error(); err != nil && last == before {
			return err
		}
		if last == before {
			return fmt.Errorf("nothing came for %s", scanSilence)
		}
	}
	return nil
}

// mayNotRead says whether NATS has said that we can't make or read a consumer on the stream.
func (l *link) mayNotRead(stream string) bool {
	return l.forbidden.hasPrefix("$JS.", ".CONSUMER.CREATE."+stream+".", ".CONSUMER.MSG.NEXT."+stream+".")
}
