package consumer

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Options say what Run consumes and how. Only Durable is required.
type Options struct {
	Durable       string    // the consumer's name; workers of one name share the events, each name has all of them
	Stream        string    // WEBHOOKS; dead letters go to the stream {Stream}_DEAD
	SubjectPrefix string    // webhooks: the bridge's SUBJECT_PREFIX; dead letters have the subjects {SubjectPrefix}-dead.>
	Filters       []string  // subjects, such as webhooks.*.user.created; none means all
	Since         time.Time // where a new durable begins; zero means with the oldest event

	// Concurrency is how many handlers run at once: 1, unless set. All workers of the durable may have
	// 512 together. One worker with 1 keeps the stream's order, except for retries.
	Concurrency     int
	AckWait         time.Duration // 30s: how long after a worker's death another gets its event; handlers may take longer
	Timeout         time.Duration // 5m: how long a handler may take; AckWait later, another worker gets the event
	MaxAttempts     int           // 10: how often an event is tried before it is a dead letter
	Backoff         time.Duration // 1s: the pause after the first attempt; it doubles with each, up to 5m
	MakeDeadStream  bool          // make a missing stream of dead letters, with the consumer's replicas; without one an event that always fails stays
	ShutdownTimeout time.Duration // 30s: how long running handlers may go on when Run is to stop
	Logger          *slog.Logger  // slog.Default(); it never gets an event's data

	// Observer, if set, is called after each attempt, for metrics. outcome is "handled", "retried" (also
	// if no dead letter could be stored) or "dead". Message.Pending and Message.Stored tell how far
	// behind the consumer is. Observer is called from several goroutines.
	Observer func(m *Message, outcome string, took time.Duration, err error)
}

func (o Options) withDefaults() (Options, error) {
	if o.Durable == "" || strings.ContainsAny(o.Durable, " \t\r\n.*>/\\") { // nats-server refuses these too
		return o, fmt.Errorf("consumer: Options.Durable is %q: give a name without space, dot, wildcard or slash", o.Durable)
	}
	for _, filter := range o.Filters { // with an empty token, nats-server doesn't answer or delivers everything
		if slices.Contains(strings.Split(filter, "."), "") {
			return o, fmt.Errorf("consumer: the filter %q in Options.Filters is no subject: a token of it is empty", filter)
		}
	}
	if o.Concurrency < 0 || o.AckWait < 0 || o.Timeout < 0 || o.MaxAttempts < 0 || o.Backoff < 0 || o.ShutdownTimeout < 0 {
		return o, errors.New("consumer: a number or time in Options is negative: 0 means the default")
	}
	o.Stream, o.SubjectPrefix = cmp.Or(o.Stream, "WEBHOOKS"), cmp.Or(o.SubjectPrefix, "webhooks")
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Concurrency, o.MaxAttempts = cmp.Or(o.Concurrency, 1), cmp.Or(o.MaxAttempts, 10)
	o.AckWait, o.Timeout = cmp.Or(o.AckWait, 30*time.Second), cmp.Or(o.Timeout, 5*time.Minute)
	o.Backoff, o.ShutdownTimeout = min(cmp.Or(o.Backoff, time.Second), maxBackoff), cmp.Or(o.ShutdownTimeout, 30*time.Second)
	return o, nil
}

// deadStream returns the name of the stream of dead letters, even if Stream is that one.
func (o Options) deadStream() string { return strings.TrimSuffix(o.Stream, "_DEAD") + "_DEAD" }
