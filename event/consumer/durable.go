package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// begin finds or makes the consumer, and the stream of dead letters if that is wanted.
func (w *worker) begin(ctx context.Context) (err error) {
	nc := w.js.Conn()
	if nc.IsReconnecting() {
		return nats.ErrDisconnected
	}
	before := nc.LastError()
	ctx, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	w.from, err = w.durable(ctx)
	if err == nil && w.MakeDeadStream {
		err = w.makeDeadStream(ctx)
	}
	last := nc.LastError()
	if errors.Is(err, context.DeadlineExceeded) && w.denied(before, ".API.") != nil || last != nil && nc.IsClosed() {
		return fmt.Errorf("finding or making consumer %s of stream %s: %w (see docs/consumers.md)", w.Durable, w.Stream, last)
	}
	return err
}

// denied returns the connection's last error if it isn't the one before, and is a missing right to publish on such a
// subject. The server doesn't answer what it doesn't permit, so the caller has seen a time-out.
func (w *worker) denied(before error, subject string) error {
	last := w.js.Conn().LastError()
	if errors.Is(last, nats.ErrPermissionViolation) && !errors.Is(last, before) && strings.Contains(last.Error(), subject) {
		return last
	}
	return nil
}

// makeDeadStream makes the stream of dead letters, with as many replicas as the consumer has, by default those of
// the events. An existing one stays as it is.
func (w *worker) makeDeadStream(ctx context.Context) error {
	wanted := jetstream.StreamConfig{Name: w.deadStream(), Subjects: []string{w.SubjectPrefix + "-dead.>"}, Replicas: 1}
	if cluster := w.from.CachedInfo().Cluster; cluster != nil {
		wanted.Replicas += len(cluster.Replicas)
	}
	if _, err := w.js.CreateStream(ctx, wanted); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("making stream %s: %w", w.deadStream(), err)
	}
	return nil
}

// temporary are the errors of begin after which trying again may help: NATS or the stream is away,
// JetStream is starting, a server that a replica needs is down, or another worker was faster and made the consumer,
// with another Since.
var temporary = []error{
	nats.ErrDisconnected, nats.ErrNoResponders, context.DeadlineExceeded, jetstream.ErrStreamNotFound,
	&jetstream.APIError{ErrorCode: 10005}, &jetstream.APIError{ErrorCode: 10008}, // no suitable peers, temporarily unavailable
	jetstream.ErrConsumerExists,
}

func isAway(err error) bool {
	return slices.ContainsFunc(temporary, func(target error) bool { return errors.Is(err, target) })
}

// durable finds the consumer, or makes it. It changes the settings of deliveries to what Run needs, but
// never the filters or the kind of acknowledgement: for those, the error says what to do.
func (w *worker) durable(ctx context.Context) (jetstream.Consumer, error) {
	wanted := jetstream.ConsumerConfig{
		Durable: w.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.AckWait, FilterSubjects: w.Filters,
		MaxAckPending: -1, // at the default, 1000 failed events that wait for their next attempt would block all others
		MaxDeliver:    -1, // the worker counts: the server would drop an event that is neither handled nor a dead letter
	}
	if len(w.Filters) == 1 { // the request's subject then has the filter, for permissions
		wanted.FilterSubject, wanted.FilterSubjects = w.Filters[0], nil
	}
	if !w.Since.IsZero() {
		wanted.DeliverPolicy, wanted.OptStartTime = jetstream.DeliverByStartTimePolicy, &w.Since
	}
	found, err := w.js.Consumer(ctx, w.Stream, w.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		found, err = w.js.CreateConsumer(ctx, w.Stream, wanted)
	}
	has := "is a push consumer"
	if err == nil {
		has = describe(found.CachedInfo().Config)
	} else if !errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, fmt.Errorf("finding or making consumer %s of stream %s: %w", w.Durable, w.Stream, err)
	}
	if needs := describe(wanted); has != needs {
		return nil, fmt.Errorf("consumer %s of stream %s exists and %s, but Run needs one that %s: give another Options.Durable, "+
			"or, if its position may be lost: nats consumer rm %s %s", w.Durable, w.Stream, has, needs, w.Stream, w.Durable)
	}
	is := found.CachedInfo().Config
	if is.AckWait != w.AckWait || is.MaxDeliver != -1 || len(is.BackOff) > 0 || is.HeadersOnly {
		w.Logger.Info("changing the consumer", "durable", w.Durable, "ack_wait", w.AckWait.String(), "max_deliver", -1)
		is.AckWait, is.MaxDeliver, is.BackOff, is.HeadersOnly = w.AckWait, -1, nil, false
		if found, err = w.js.UpdateConsumer(ctx, w.Stream, is); err != nil {
			return nil, fmt.Errorf("changing consumer %s of stream %s: %w", w.Durable, w.Stream, err)
		}
	}
	return found, nil
}

// describe describes those settings of a consumer that Run doesn't change.
func describe(c jetstream.ConsumerConfig) string {
	all := slices.Sorted(slices.Values(append(slices.Clone(c.FilterSubjects), c.FilterSubject)))
	return fmt.Sprintf("has the filters %q and the ack policy %s", strings.Fields(strings.Join(all, " ")), c.AckPolicy)
}
