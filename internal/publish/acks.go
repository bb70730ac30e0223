package publish

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// acks awaits acknowledgements. One inbox, one map and one timer serve all messages; nats.go's own futures
// take a timer and several channels for each. Every message that has begun has one outcome, within
// the time-out.
type acks struct {
	timeout time.Duration
	spare   sync.Pool // of waits

	mu      sync.Mutex
	waiting map[uint64]*wait
	oldest  uint64 // no message before it waits
	next    uint64 // the number of the next message
	timer   *time.Timer
	timed   bool          // the timer runs
	idle    chan struct{} // closed once none waits; nil while nobody asks
}

// wait is for one message's outcome.
type wait struct {
	deadline time.Time
	done     chan outcome // holds one
}

// outcome is what became of a message.
type outcome struct {
	duplicate bool // the stream had it
	err       error
}

func newAcks(timeout time.Duration) *acks {
	a := &acks{timeout: timeout, waiting: make(map[uint64]*wait)}
	a.spare.New = func() any { return &wait{done: make(chan outcome, 1)} }
	a.timer = time.AfterFunc(timeout, a.expire)
	a.timer.Stop()
	return a
}

// begin begins to wait for the outcome of one more message, whose number it returns. Whoever has taken the
// outcome from the wait may give that back to spare.
func (a *acks) begin() (uint64, *wait) {
	w := a.spare.Get().(*wait)
	w.deadline = time.Now().Add(a.timeout)
	a.mu.Lock()
	defer a.mu.Unlock()
	number := a.next
	a.next++
	a.waiting[number] = w
	if !a.timed {
		a.timed = true
		a.timer.Reset(a.timeout)
	}
	return number, w
}

// isWaiting says whether the message has no outcome yet.
func (a *acks) isWaiting(number uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting[number] != nil
}

// settle is told a message's outcome. Only the first counts.
func (a *acks) settle(number uint64, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settleLocked(number, o)
}

func (a *acks) settleLocked(number uint64, o outcome) {
	w := a.waiting[number]
	if w == nil {
		return
	}
	delete(a.waiting, number)
	w.done <- o
	if len(a.waiting) == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// fail gives up on all messages.
func (a *acks) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for number := range a.waiting {
		a.settleLocked(number, outcome{err: err})
	}
}

// expire gives up on messages whose time is over. All have the same time, so they end in the order in
// which they began.
func (a *acks) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timed = false
	now := time.Now()
	for ; a.oldest < a.next; a.oldest++ {
		w := a.waiting[a.oldest]
		if w == nil {
			continue
		}
		if left := w.deadline.Sub(now); left > 0 {
			a.timed = true
			a.timer.Reset(left)
			return
		}
		a.settleLocked(a.oldest, outcome{err: jetstream.ErrAsyncPublishTimeout})
	}
}

// pending is how many messages wait.
func (a *acks) pending() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting)
}

// complete returns a channel that is closed once no message waits.
func (a *acks) complete() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	if len(a.waiting) == 0 {
		close(idle)
		a.idle = nil
	}
	return idle
}

// base is that of the numbers in reply subjects.
const base = 36

// replyTo is the subject on which a message is acknowledged.
func replyTo(inbox string, number uint64) string {
	var room [64]byte
	return string(strconv.AppendUint(append(append(room[:0], inbox...), '.'), number, base))
}

// receive takes what came on the inbox.
func (a *acks) receive(m *nats.Msg) {
	digits := m.Subject[len(m.Sub.Subject)-len("*"):]
	if number, err := strconv.ParseUint(digits, base, 64); err == nil {
		a.settle(number, readAck(m))
	}
}

// readAck reads an acknowledgement.
func readAck(m *nats.Msg) outcome {
	if isPlainAck(m.Data) {
		return outcome{}
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return outcome{err: jetstream.ErrNoStreamResponse}
	}
	var ack struct {
		Stream    string
		Duplicate bool
		Error     *jetstream.APIError
	}
	switch err := json.Unmarshal(m.Data, &ack); {
	case err != nil:
		return outcome{err: jetstream.ErrInvalidJSAck}
	case ack.Error != nil:
		return outcome{err: ack.Error}
	case ack.Stream == "":
		return outcome{err: jetstream.ErrInvalidJSAck}
	}
	return outcome{duplicate: ack.Duplicate}
}

// isPlainAck says of the usual acknowledgement, {"stream":"NAME","seq":1}, at a glance that it is one: no
// error, no duplicate, nothing else that would have to be read.
func isPlainAck(data []byte) bool {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return false
	}
	name, rest, ok := bytes.Cut(rest, []byte(`","seq":`))
	if !ok || len(name) == 0 || bytes.IndexByte(name, '"') >= 0 {
		return false
	}
	digits, ok := bytes.CutSuffix(rest, []byte("}"))
	for _, c := range digits {
		ok = ok && '0' <= c && c <= '9'
	}
	return ok && len(digits) > 0
}
