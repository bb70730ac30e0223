package publish

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// acks awaits acknowledgements. Each message gets one outcome within its time-out.
type acks struct {
	domain string // of the intended JetStream; "": any

	mu      sync.Mutex
	pending map[uint64]*awaited
	next    uint64      // the number of the next message
	timer   *time.Timer // calls expire
	due     time.Time   // when it does; zero: it is not set
}

// awaited is a message without an acknowledgement.
type awaited struct {
	number  uint64
	stream  string // the intended one
	began   time.Time
	until   time.Time    // when it is given up
	done    chan outcome // holds one
	foreign error        // what another stream, another domain or a service answered
}

// outcome is the result of publishing a message.
type outcome struct {
	duplicate bool // the stream had it already
	took      time.Duration
	err       error
}

// foreignAck is an acknowledgement by another stream or JetStream domain, which doesn't count. A
// leaf node and its hub in one account may both have a stream of that name and those subjects.
type foreignAck struct{ stream, domain string }

func (e *foreignAck) Error() string {
	return fmt.Sprintf("acknowledged only by stream %s of domain %q", e.stream, e.domain)
}

func newAcks(domain string) *acks {
	a := &acks{domain: domain, pending: make(map[uint64]*awaited)}
	a.timer = time.AfterFunc(time.Hour, a.expire)
	return a
}

// begin registers a message. Its outcome comes after the time-out at the latest.
func (a *acks) begin(stream string, timeout time.Duration) *awaited {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	w := &awaited{number: a.next, stream: stream, began: now, until: now.Add(timeout), done: make(chan outcome, 1)}
	a.next++
	a.pending[w.number] = w
	a.expireAt(w.until)
	return w
}

// expireEvery is the shortest time between two looks at all messages.
const expireEvery = 10 * time.Millisecond

// expireAt makes expire look at that time. All messages share one timer: under load it fires once a
// time-out, and a timer for each message would be set and stopped for nothing.
func (a *acks) expireAt(at time.Time) {
	if a.due.IsZero() || at.Before(a.due) {
		a.due = at
		a.timer.Reset(max(time.Until(at), expireEvery))
	}
}

// expire gives up on the messages whose time is over.
func (a *acks) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.due = time.Time{}
	for _, w := range a.pending {
		switch {
		case now.Before(w.until):
			a.expireAt(w.until)
		case w.foreign != nil:
			a.settleLocked(w, outcome{err: w.foreign})
		default:
			a.settleLocked(w, outcome{err: jetstream.ErrAsyncPublishTimeout})
		}
	}
}

// isWaiting reports whether the message has no outcome yet.
func (a *acks) isWaiting(w *awaited) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending[w.number] != nil
}

// waiting returns how many messages have no outcome yet.
func (a *acks) waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pending)
}

// settle passes on a message's outcome. Only the first counts.
func (a *acks) settle(w *awaited, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settleLocked(w, o)
}

func (a *acks) settleLocked(w *awaited, o outcome) {
	if a.pending[w.number] != nil {
		delete(a.pending, w.number)
		o.took = time.Since(w.began)
		w.done <- o
	}
}

// fail gives up on all messages.
func (a *acks) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.pending {
		a.settleLocked(w, outcome{err: err})
	}
}

// domainGrace is how long after an error the intended stream may still acknowledge, if the error
// may be another stream's: it doesn't name its domain (nats-server, JSPubAckResponse). An error
// about the wrong stream is always another's, because the message names ours.
const domainGrace = 250 * time.Millisecond

// receive handles the answer to a message.
func (a *acks) receive(number uint64, ack ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.pending[number]
	switch {
	case w == nil:
	case ack.err == nil && (ack.stream != w.stream || a.domain != "" && ack.domain != a.domain):
		w.foreign = &foreignAck{ack.stream, ack.domain}
	case errors.Is(ack.err, jetstream.ErrInvalidJSAck): // a service answers on the events' subjects
		w.foreign = ack.err
	case ack.isRefusal && (a.domain != "" || classify(ack.err) == WrongStream):
		time.AfterFunc(domainGrace, func() { a.settle(w, outcome{err: ack.err}) })
	default:
		a.settleLocked(w, outcome{duplicate: ack.duplicate, err: ack.err})
	}
}
