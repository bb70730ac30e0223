package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// consumer is a consumer that we have created.
type consumer struct {
	jetstream.Consumer
	config   jetstream.ConsumerConfig
	atLeader bool // it is on the stream's leader, which has all messages
}

// locate asks the stream's leader for the stream's state, and decides where to read on.
func (r *Reader) locate(ctx context.Context) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := r.JetStream.Stream(ctx, r.Section.Stream)
	if err != nil {
		return nil, fmt.Errorf("asking for stream: %w", err)
	}
	if stream.CachedInfo().Config.Retention == jetstream.WorkQueuePolicy {
		return nil, errQueue
	}
	if r.begin(stream.CachedInfo()) {
		if r.Restart != nil {
			r.Restart()
		}
		r.Report(ErrRecreated)
	}
	return stream, nil
}

// begin decides where to read on, and reports whether that is the beginning of a new stream.
func (r *Reader) begin(info *jetstream.StreamInfo) (isNew bool) {
	switch {
	case r.created.IsZero():
		r.next = r.first(info)
	case !r.created.Equal(info.Created), r.next > info.State.LastSeq+1: // a stream in memory is empty after its server's restart
		r.next, isNew = 1, true
	default:
		return false
	}
	r.created, r.until = info.Created, info.State.LastSeq
	if r.Section.Before > 0 {
		r.until = min(r.until, r.Section.Before-1)
	}
	return isNew
}

// first returns the section's first sequence number; 0: the server finds it by Since.
func (r *Reader) first(info *jetstream.StreamInfo) uint64 {
	state := info.State
	if lag := time.Until(info.TimeStamp); r.ahead && !info.TimeStamp.IsZero() && lag < 0 {
		r.Section.Since = r.Section.Since.Add(lag)
	}
	switch {
	case r.Section.Last > 0:
		return max(1, state.FirstSeq, state.LastSeq-min(state.LastSeq, r.Section.Last)+1)
	case r.Section.First > 0:
		return max(r.Section.First, state.FirstSeq)
	case r.Section.Since.IsZero(), r.Section.Since.After(state.LastTime):
		// Asked for a time after the last message, the server would begin with the first one. Asked for new
		// messages, it would leave out those that come between two consumers.
		return state.LastSeq + 1
	}
	return 0
}

// attach creates a consumer that begins at the reader's position.
func (r *Reader) attach(ctx context.Context, stream jetstream.Stream) (*consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c := jetstream.ConsumerConfig{
		FilterSubjects: r.Section.Subjects, HeadersOnly: r.Section.HeadersOnly,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: inactive, MemoryStorage: true, Replicas: 1,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.next,
		// A unique value, by which our configuration differs from others' of the same name.
		Description: "webhook-bridge " + nuid.Next(),
	}
	if r.next == 0 {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Section.Since
	}
	if limit := stream.CachedInfo().Config.ConsumerLimits.InactiveThreshold; limit > 0 {
		c.InactiveThreshold = min(c.InactiveThreshold, limit)
	}
	made, err := r.create(ctx, stream, &c)
	if err != nil {
		return nil, fmt.Errorf("creating consumer: %w", err)
	}
	consumer := &consumer{Consumer: made, config: c}
	// If the stream was created again in the meantime, it is the new stream's consumer.
	info, err := stream.Info(ctx)
	if err == nil && !info.Created.Equal(r.created) {
		err = errOther
	}
	if err != nil {
		r.detach(ctx, consumer)
		return nil, fmt.Errorf("asking for stream: %w", err)
	}
	of, at := info.Cluster, made.CachedInfo().Cluster
	consumer.atLeader = of == nil || len(of.Replicas) == 0 || at != nil && at.Leader != "" && at.Leader == of.Leader
	return consumer, nil
}

// errNoTier means that the account has limits only for other numbers of replicas, such as that of the stream.
var errNoTier = &jetstream.APIError{ErrorCode: 10120}

// create creates the consumer with a name that isn't taken.
func (r *Reader) create(ctx context.Context, stream jetstream.Stream, c *jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	names := r.Names
	if len(names) == 0 {
		names = []string{r.Name + nuid.Next()}
	}
	for _, i := range rand.Perm(len(names)) { //nolint:gosec // it isn't a secret
		c.Name = names[i]
		consumer, err := stream.CreateConsumer(ctx, *c)
		if errors.Is(err, errNoTier) {
			c.Replicas = stream.CachedInfo().Config.Replicas
			consumer, err = stream.CreateConsumer(ctx, *c)
		}
		if !errors.Is(err, jetstream.ErrConsumerExists) {
			return consumer, err
		}
	}
	return nil, errInUse
}

// isStillOurs reports whether the consumer is the one that we created: another reader may have taken its
// name since. Creating an existing consumer with the same configuration changes nothing and returns its
// info (nats-server, addConsumerWithAssignment).
func (r *Reader) isStillOurs(ctx context.Context, stream jetstream.Stream, c *consumer) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	again, err := stream.CreateConsumer(ctx, c.config)
	return err == nil && again.CachedInfo().Created.Equal(c.CachedInfo().Created)
}

// detach tries to remove the consumer. If that fails, the server removes it after a while.
func (r *Reader) detach(ctx context.Context, c *consumer) {
	if !r.JetStream.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.JetStream.DeleteConsumer(ctx, r.Section.Stream, c.config.Name)
}
