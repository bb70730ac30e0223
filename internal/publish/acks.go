package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// acks awaits acknowledgements. One inbox, one map and one timer serve all messages; nats.go's own futures
// take a timer and several channels for each. The caller of a message has one outcome, within the time-out.
//
// An acknowledgement that comes after that, because JetStream is slow or the connection broke, still means
// that the message is stored: late is told of it.
type acks struct {
	prefix  string // of the numbers in reply subjects, which tells these acks from others on the same inbox
	timeout time.Duration
	domain  string // of the JetStream that is meant; "": any
	late    func(LateAck)
	spare   sync.Pool // of waits

	mu      sync.Mutex
	pending map[uint64]awaited
	live    int    // pending messages whose callers still wait
	expired uint64 // no message before it has a caller that waits
	dropped uint64 // no message before it is pending
	next    uint64 // the number of the next message
	timer   *time.Timer
	fires   time.Time     // when the timer does; zero: it is stopped
	idle    chan struct{} // closed once no caller waits; nil while nobody asks
}

// awaited is a message that has no acknowledgement yet.
type awaited struct {
	wait    *wait // nil once the caller has given up
	message LateAck
	stream  string // the one that is meant
	began   time.Time
	foreign error // what another stream or domain answered
}

// wait is for one message's outcome.
type wait struct{ done chan outcome } // holds one

// outcome is what became of a message.
type outcome struct {
	duplicate bool // the stream had it
	took      time.Duration
	made      time.Time // when the stream was made, as it was known when the message was sent
	err       error
}

// LateAck is a message that was acknowledged after its caller had given up.
type LateAck struct {
	Kind    durable.Kind
	ID      string
	Arrived time.Time // the message's
	Made    time.Time // when the stream was made, as it was known when the message was sent
}

// lateFor is for how long after the time-out an acknowledgement is still taken.
const lateFor = 30 * time.Second

// foreignAck is an answer that doesn't count: of another stream, or of another JetStream domain, which has a
// stream of the same name on the same subjects (a leaf node and its hub in one account).
type foreignAck struct{ stream, domain string }

func (e *foreignAck) Error() string {
	return fmt.Sprintf("only stream %s of domain %q has acknowledged it", e.stream, e.domain)
}

func newAcks(prefix string, timeout time.Duration, domain string) *acks {
	a := &acks{prefix: prefix, timeout: timeout, domain: domain, late: func(LateAck) {}, pending: make(map[uint64]awaited)}
	a.spare.New = func() any { return &wait{done: make(chan outcome, 1)} }
	a.timer = time.AfterFunc(timeout, a.expire)
	a.timer.Stop()
	return a
}

// begin begins to wait for the outcome of one more message, whose number it returns. A caller that has taken
// the outcome from the wait may give that back to spare.
func (a *acks) begin(m durable.Message, stream string, made time.Time) (uint64, *wait) {
	w := a.spare.Get().(*wait)
	a.mu.Lock()
	defer a.mu.Unlock()
	number := a.next
	a.next++
	a.pending[number] = awaited{wait: w, message: LateAck{m.Kind, m.ID, m.Arrived, made}, stream: stream, began: time.Now()}
	a.live++
	a.startTimer(a.timeout)
	return number, w
}

// isWaiting reports whether the message's caller still waits.
func (a *acks) isWaiting(number uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending[number].wait != nil
}

// settle is told a message's outcome. Only the first counts.
func (a *acks) settle(number uint64, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settleLocked(number, o)
}

func (a *acks) settleLocked(number uint64, o outcome) {
	p, ok := a.pending[number]
	if !ok {
		return
	}
	delete(a.pending, number)
	if p.wait == nil {
		if o.err == nil {
			a.late(p.message)
		}
		return
	}
	o.took, o.made = time.Since(p.began), p.message.Made
	a.tell(p.wait, o)
}

// giveUp tells the message's caller that there is no acknowledgement, and goes on waiting for a late one.
func (a *acks) giveUp(number uint64, err error) {
	p := a.pending[number]
	if p.wait == nil {
		return
	}
	if p.foreign != nil && err == jetstream.ErrAsyncPublishTimeout { //nolint:errorlint // it is this very one
		err = p.foreign
	}
	a.tell(p.wait, outcome{err: err})
	p.wait = nil
	a.pending[number] = p
}

func (a *acks) tell(w *wait, o outcome) {
	w.done <- o
	if a.live--; a.live == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// abandon gives up on one message: its caller doesn't wait any more.
func (a *acks) abandon(number uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.giveUp(number, err)
}

// fail gives up on all messages.
func (a *acks) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for number := range a.pending {
		a.giveUp(number, err)
	}
}

// expire gives up on messages whose time is over, and drops those for which no late acknowledgement is taken
// any more. All have the same time, so they end in the order in which they began.
func (a *acks) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fires = time.Time{}
	for ; a.expired < a.next; a.expired++ {
		if p, ok := a.pending[a.expired]; ok && p.wait != nil {
			if left := a.timeout - time.Since(p.began); left > 0 {
				a.startTimer(left)
				break
			}
			a.giveUp(a.expired, jetstream.ErrAsyncPublishTimeout)
		}
	}
	for ; a.dropped < a.expired; a.dropped++ {
		if p, ok := a.pending[a.dropped]; ok {
			if left := a.timeout + lateFor - time.Since(p.began); left > 0 {
				a.startTimer(left)
				break
			}
			delete(a.pending, a.dropped)
		}
	}
}

// startTimer has expire called after d at the latest.
func (a *acks) startTimer(d time.Duration) {
	if at := time.Now().Add(d); a.fires.IsZero() || at.Before(a.fires) {
		a.fires = at
		a.timer.Reset(d)
	}
}

// waiting returns how many callers wait.
func (a *acks) waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.live
}

// complete returns a channel that is closed once no caller waits.
func (a *acks) complete() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	if a.live == 0 {
		close(idle)
		a.idle = nil
	}
	return idle
}

// base is that of the numbers in reply subjects.
const base = 36

// replyTo is the subject on which a message is acknowledged.
func (a *acks) replyTo(inbox string, number uint64) string {
	var room [64]byte
	return string(strconv.AppendUint(append(append(append(room[:0], inbox...), '.'), a.prefix...), number, base))
}

// domainGrace is for how long after an error the acknowledgement of the stream that is meant is awaited, where
// the error may be another's: it doesn't say from which domain it comes (nats-server's JSPubAckResponse).
const domainGrace = 250 * time.Millisecond

// isMismatch reports whether an error is another stream's: ours is the one that is expected.
func isMismatch(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == codeStreamMismatch
}

// receive takes what came on the inbox.
func (p *Publisher) receive(m *nats.Msg) {
	token := m.Subject[len(m.Sub.Subject)-len("*"):]
	for _, a := range []*acks{p.direct, p.spooled} {
		if digits, ok := strings.CutPrefix(token, a.prefix); ok {
			if number, err := strconv.ParseUint(digits, base, 64); err == nil {
				a.receive(number, readAck(m))
			}
		}
	}
}

// receive takes the answer to a message.
func (a *acks) receive(number uint64, ack ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.pending[number]
	switch {
	case !ok:
	case ack.err == nil && (string(ack.stream) != p.stream || a.domain != "" && ack.domain != a.domain):
		p.foreign = &foreignAck{string(ack.stream), ack.domain}
		a.pending[number] = p
	case ack.isRefusal && (a.domain != "" || isMismatch(ack.err)):
		time.AfterFunc(domainGrace, func() { a.settle(number, outcome{err: ack.err}) })
	default:
		a.settleLocked(number, outcome{duplicate: ack.duplicate, err: ack.err})
	}
}

// ack is an answer to a message.
type ack struct {
	stream    []byte
	domain    string
	duplicate bool
	err       error
	isRefusal bool // err is JetStream's own
}

// readAck reads an acknowledgement.
func readAck(m *nats.Msg) ack {
	if stream, ok := plainAck(m.Data); ok {
		return ack{stream: stream}
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack{err: jetstream.ErrNoStreamResponse}
	}
	var read struct {
		Stream, Domain string
		Duplicate      bool
		Error          *jetstream.APIError
	}
	switch err := json.Unmarshal(m.Data, &read); {
	case err != nil:
		return ack{err: jetstream.ErrInvalidJSAck}
	case read.Error != nil:
		return ack{err: read.Error, isRefusal: true}
	case read.Stream == "":
		return ack{err: jetstream.ErrInvalidJSAck}
	}
	return ack{stream: []byte(read.Stream), domain: read.Domain, duplicate: read.Duplicate}
}

// plainAck returns the stream of a bare acknowledgement, {"stream":"NAME","seq":1}, which most are: no error,
// no duplicate, no domain.
func plainAck(data []byte) (stream []byte, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return nil, false
	}
	name, rest, ok := bytes.Cut(rest, []byte(`","seq":`))
	if !ok || len(name) == 0 || bytes.IndexByte(name, '"') >= 0 {
		return nil, false
	}
	digits, ok := bytes.CutSuffix(rest, []byte("}"))
	for _, c := range digits {
		ok = ok && '0' <= c && c <= '9'
	}
	return name, ok && len(digits) > 0
}
