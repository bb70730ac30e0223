package publish

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// acks awaits acknowledgements. Each message gets one outcome within its time-out. A later
// acknowledgement still means that the message is stored, and is reported to late.
type acks struct {
	domain string // of the intended JetStream; "": any
	late   func(LateAck)

	mu      sync.Mutex
	pending map[uint64]*awaited
	next    uint64      // the number of the next message
	timer   *time.Timer // calls expire
	due     time.Time   // when the timer fires; zero: it is not set
}

// awaited is a message without an acknowledgement.
type awaited struct {
	LateAck
	number  uint64
	stream  string // the intended one
	began   time.Time
	done    chan outcome // holds one
	givenUp bool         // the outcome is an error, and the caller has it
	until   time.Time    // when it is given up; after that, when it is forgotten
	foreign error        // what another stream, another domain or a service answered
}

// outcome is the result of publishing a message.
type outcome struct {
	duplicate bool // the stream had it already
	took      time.Duration
	err       error
}

// LateAck is a message that was acknowledged after its time-out.
type LateAck struct {
	Kind          Kind
	ID            string
	Arrived       time.Time // the message's
	StreamCreated time.Time // when the stream was created, as known when the message was sent
}

// lateFor is how long after an error an acknowledgement still counts.
const lateFor = 30 * time.Second

// foreignAck is an acknowledgement by another stream or JetStream domain, which doesn't count. A
// leaf node and its hub in one account may both have a stream of that name and those subjects.
type foreignAck struct{ stream, domain string }

func (e *foreignAck) Error() string {
	return fmt.Sprintf("acknowledged only by stream %s of domain %q", e.stream, e.domain)
}

func newAcks(domain string) *acks {
	a := &acks{domain: domain, late: func(LateAck) {}, pending: make(map[uint64]*awaited)}
	a.timer = time.AfterFunc(time.Hour, a.expire)
	return a
}

// begin registers a message. Its outcome comes after the time-out at the latest.
func (a *acks) begin(m Message, stream string, made time.Time, timeout time.Duration) *awaited {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := &awaited{
		LateAck: LateAck{m.Kind, m.ID, m.Arrived, made},
		number:  a.next, stream: stream, began: time.Now(), done: make(chan outcome, 1),
	}
	a.next++
	a.pending[w.number] = w
	a.expireAt(w, w.began.Add(timeout))
	return w
}

// expireEvery is the shortest time between two looks at all messages.
const expireEvery = 10 * time.Millisecond

// expireAt sets when the message is given up or forgotten. All messages share one timer, which under
// load fires once per time-out. A timer for each message would be set and stopped for nothing.
func (a *acks) expireAt(w *awaited, at time.Time) {
	w.until = at
	if a.due.IsZero() || at.Before(a.due) {
		a.due = at
		a.timer.Reset(max(time.Until(at), expireEvery))
	}
}

// expire gives up on the messages whose time is over, and forgets those given up long ago.
func (a *acks) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.due = time.Time{}
	for number, w := range a.pending {
		switch {
		case now.Before(w.until):
			a.expireAt(w, w.until)
		case w.givenUp:
			delete(a.pending, number)
		default:
			a.giveUpLocked(w, jetstream.ErrAsyncPublishTimeout)
		}
	}
}

// isWaiting reports whether the message has no outcome yet.
func (a *acks) isWaiting(w *awaited) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending[w.number] != nil && !w.givenUp
}

// waiting returns how many messages have no outcome yet.
func (a *acks) waiting() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.pending {
		if !w.givenUp {
			n++
		}
	}
	return n
}

// settle passes on a message's outcome. Only the first counts.
func (a *acks) settle(w *awaited, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settleLocked(w, o)
}

func (a *acks) settleLocked(w *awaited, o outcome) {
	if a.pending[w.number] == nil {
		return
	}
	delete(a.pending, w.number)
	switch {
	case !w.givenUp:
		o.took = time.Since(w.began)
		w.done <- o
	case o.err == nil:
		a.late(w.LateAck)
	}
}

// giveUp makes err the message's outcome, unless it has one. A late acknowledgement is still taken.
func (a *acks) giveUp(w *awaited, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.giveUpLocked(w, err)
}

func (a *acks) giveUpLocked(w *awaited, err error) {
	if a.pending[w.number] == nil || w.givenUp {
		return
	}
	if w.foreign != nil && err == jetstream.ErrAsyncPublishTimeout { //nolint:errorlint // it is this very one
		err = w.foreign
	}
	w.givenUp = true
	w.done <- outcome{err: err}
	a.expireAt(w, time.Now().Add(lateFor))
}

// fail gives up on all messages.
func (a *acks) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.pending {
		a.giveUpLocked(w, err)
	}
}

// domainGrace is how long after an error the intended stream may still acknowledge, if the error may
// come from another stream: an error doesn't name its domain (nats-server, JSPubAckResponse). An error
// about the wrong stream always comes from another one, because the message names ours.
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
