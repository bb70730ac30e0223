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
	if err := w.closed(); err != nil {
		return err
	}
	nc := w.js.Conn()
	if !nc.IsConnected() {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	if w.MakeDeadStream { // one that exists is left as it is
		_, err = w.js.CreateStream(ctx, jetstream.StreamConfig{Name: w.DeadStream, Subjects: []string{w.SubjectPrefix + "-dead.>"}})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			err = nil
		} else if err != nil {
			err = fmt.Errorf("making stream %s: %w", w.DeadStream, err)
		}
	}
	if err == nil {
		w.from, err = w.durable(ctx)
	}
	if last := nc.LastError(); errors.Is(err, context.DeadlineExceeded) && errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), ".API.") {
		// The server doesn't answer what it doesn't permit.
		return fmt.Errorf("finding or making consumer %s of stream %s: %w (see docs/consumers.md)", w.Durable, w.Stream, last)
	}
	return err
}

// isAway reports whether waiting may mend an error of begin: NATS is away, or JetStream starts.
func isAway(err error) bool {
	var refused *jetstream.APIError
	if errors.As(err, &refused) {
		return refused.ErrorCode == 10008 // temporarily unavailable
	}
	return errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded)
}

// durable finds the consumer, or makes it. It changes settings of later deliveries to what Run
// needs, but never the filter or the kind of acknowledgement: then the error tells what to do.
func (w *worker) durable(ctx context.Context) (jetstream.Consumer, error) {
	wanted := jetstream.ConsumerConfig{
		Durable: w.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.AckWait, FilterSubjects: w.Filters,
		MaxDeliver: -1, // the worker counts: the server would drop an event that is neither handled nor a dead letter
	}
	if len(w.Filters) == 1 { // the request's subject then has the filter, for permissions
		wanted.FilterSubject, wanted.FilterSubjects = w.Filters[0], nil
	}
	if !w.Since.IsZero() {
		wanted.DeliverPolicy, wanted.OptStartTime = jetstream.DeliverByStartTimePolicy, &w.Since
	}
	conflict := func(what string, is, wanted any) error {
		return fmt.Errorf("consumer %s of stream %s exists, and its %s is %v instead of %v: give another Options.Durable, or, if its "+
			"position may be lost: nats consumer rm %s %s", w.Durable, w.Stream, what, is, wanted, w.Stream, w.Durable)
	}
	found, err := w.js.Consumer(ctx, w.Stream, w.Durable)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, conflict("kind", "push", "pull")
	}
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		found, err = w.js.CreateConsumer(ctx, w.Stream, wanted)
	}
	if errors.Is(err, jetstream.ErrConsumerExists) { // another worker was faster, with another Since
		found, err = w.js.Consumer(ctx, w.Stream, w.Durable)
	}
	if err != nil {
		return nil, fmt.Errorf("finding or making consumer %s of stream %s: %w", w.Durable, w.Stream, err)
	}
	is := found.CachedInfo().Config
	if is, wanted := filters(is), filters(wanted); !slices.Equal(is, wanted) {
		return nil, conflict("filter", is, wanted)
	}
	if is.AckPolicy != wanted.AckPolicy {
		return nil, conflict("ack policy", is.AckPolicy, wanted.AckPolicy)
	}
	if is.AckWait != w.AckWait || is.MaxDeliver != -1 || len(is.BackOff) > 0 || is.HeadersOnly {
		w.Logger.Info("changing the consumer", "durable", w.Durable, "ack_wait", w.AckWait.String(), "max_deliver", -1)
		is.AckWait, is.MaxDeliver, is.BackOff, is.HeadersOnly = w.AckWait, -1, nil, false
		if found, err = w.js.UpdateConsumer(ctx, w.Stream, is); err != nil {
			return nil, fmt.Errorf("changing consumer %s of stream %s: %w", w.Durable, w.Stream, err)
		}
	}
	return found, nil
}

func filters(c jetstream.ConsumerConfig) []string {
	all := slices.Sorted(slices.Values(append(slices.Clone(c.FilterSubjects), c.FilterSubject)))
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}
