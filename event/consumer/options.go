package consumer

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Options say what Run consumes and how. Only Durable is required.
type Options struct {
	Durable       string    // the consumer's name; workers of one name share the events, each name has all of them
	Stream        string    // WEBHOOKS
	SubjectPrefix string    // webhooks: the bridge's SUBJECT_PREFIX
	Filters       []string  // subjects, such as webhooks.*.user.created; none means all
	Since         time.Time // where a new durable begins; zero means with the oldest event

	Concurrency     int                             // 1: how many handlers run at once; all workers of the durable together at most 512; one worker with 1 keeps the stream's order, but for retries
	AckWait         time.Duration                   // 30s: how long after a worker's death another has its event; handlers may take longer
	Timeout         time.Duration                   // 5m: how long a handler may take; AckWait after that, another worker gets the event
	MaxAttempts     int                             // 10: how often an event is tried before it is a dead letter
	Backoff         func(attempt int) time.Duration // Doubling(1s, 5m): the pause after an attempt; the first is 1
	DeadStream      string                          // {Stream}_DEAD: dead letters, on {SubjectPrefix}-dead.>
	MakeDeadStream  bool                            // make that stream if it is missing; without it an event that always fails is tried for ever
	ShutdownTimeout time.Duration                   // 30s: how long handlers that began may go on when Run is to stop
	Logger          *slog.Logger                    // slog.Default(); it is never given an event's data
	Observer        Observer                        // none
}

// Doubling returns a backoff that begins with first and doubles with every attempt, up to limit.
func Doubling(first, limit time.Duration) func(attempt int) time.Duration {
	return func(attempt int) time.Duration {
		pause := first
		for ; attempt > 1 && pause < limit; attempt-- {
			pause *= 2
		}
		return min(pause, limit)
	}
}

// Observer is told how each attempt ended, for metrics. Message.Pending and Message.Stored tell how
// far behind the consumer is. Its methods are called from several goroutines.
type Observer interface {
	Handled(m *Message, took time.Duration)
	Retried(m *Message, took time.Duration, err error) // also if no dead letter could be stored
	Dead(m *Message, took time.Duration, err error)
}

func (o Options) withDefaults() (Options, error) {
	if o.Durable == "" || strings.ContainsAny(o.Durable, " \t\r\n.*>/\\") { // nats-server refuses these too
		return o, fmt.Errorf("consumer: Options.Durable is %q: give a name without space, dot, wildcard or slash", o.Durable)
	}
	if o.Concurrency < 0 || o.AckWait < 0 || o.Timeout < 0 || o.MaxAttempts < 0 || o.ShutdownTimeout < 0 {
		return o, fmt.Errorf("consumer: a number or time in Options is negative: 0 means the default")
	}
	o.Stream, o.SubjectPrefix = cmp.Or(o.Stream, "WEBHOOKS"), cmp.Or(o.SubjectPrefix, "webhooks")
	o.DeadStream = cmp.Or(o.DeadStream, strings.TrimSuffix(o.Stream, "_DEAD")+"_DEAD") // dead letters can be consumed, too
	o.Concurrency, o.MaxAttempts = cmp.Or(o.Concurrency, 1), cmp.Or(o.MaxAttempts, 10)
	o.AckWait, o.Timeout = cmp.Or(o.AckWait, 30*time.Second), cmp.Or(o.Timeout, 5*time.Minute)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, 30*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Backoff == nil {
		o.Backoff = Doubling(time.Second, 5*time.Minute)
	}
	return o, nil
}
