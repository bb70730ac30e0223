package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// acks waits for acknowledgements. One inbox, one map and one timer serve all messages; nats.go's
// futures need a timer and several channels each. Each caller gets one outcome within the time-out.
// A later acknowledgement still means that the message is stored, and is reported to late.
type acks struct {
	prefix  string // of the numbers in reply subjects; distinguishes several acks on one inbox
	timeout time.Duration
	domain  string // of the intended JetStream; "": any
	late    func(LateAck)
	spare   sync.Pool // unused waits

	mu      sync.Mutex
	pending map[uint64]awaited
	callers int    // that still wait
	expired uint64 // no message before it has a waiting caller
	dropped uint64 // no message before it is pending
	next    uint64 // the number of the next message
	timer   *time.Timer
	fires   time.Time // when the timer fires; zero: it is stopped
}

// awaited is a message without an acknowledgement.
type awaited struct {
	wait    *wait // nil once the caller has given up
	message LateAck
	stream  string // the intended one
	began   time.Time
	foreign error // what another stream or domain answered
}

// wait receives one message's outcome.
type wait struct{ done chan outcome } // holds one

// outcome is the result of publishing a message.
type outcome struct {
	duplicate bool // the stream had it already
	took      time.Duration
	made      time.Time // when the stream was created, as known when the message was sent
	err       error
}

// LateAck is a message that was acknowledged after its time-out.
type LateAck struct {
	Kind    Kind
	ID      string
	Arrived time.Time // the message's
	Made    time.Time // when the stream was created, as known when the message was sent
}

// lateFor is how long after the time-out an acknowledgement still counts.
const lateFor = 30 * time.Second

// foreignAck is an acknowledgement by another stream or JetStream domain, which doesn't count. A leaf
// node and its hub in one account may both have a stream of that name and those subjects.
type foreignAck struct{ stream, domain string }

func (e *foreignAck) Error() string {
	return fmt.Sprintf("acknowledged only by stream %s of domain %q", e.stream, e.domain)
}

func newAcks(prefix string, timeout time.Duration, domain string) *acks {
	a := &acks{prefix: prefix, timeout: timeout, domain: domain, late: func(LateAck) {}, pending: make(map[uint64]awaited)}
	a.spare.New = func() any { return &wait{done: make(chan outcome, 1)} }
	a.timer = time.AfterFunc(timeout, a.expire)
	a.timer.Stop()
	return a
}

// begin registers a message and returns its number. A caller that has received the outcome may
// return the wait to spare.
func (a *acks) begin(m Message, stream string, made time.Time) (uint64, *wait) {
	w := a.spare.Get().(*wait)
	a.mu.Lock()
	defer a.mu.Unlock()
	number := a.next
	a.next++
	a.pending[number] = awaited{wait: w, message: LateAck{m.Kind, m.ID, m.Arrived, made}, stream: stream, began: time.Now()}
	a.callers++
	a.startTimer(a.timeout)
	return number, w
}

// isWaiting reports whether the message's caller still waits.
func (a *acks) isWaiting(number uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending[number].wait != nil
}

// settle passes on a message's outcome. Only the first counts.
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

// giveUp passes err to the message's caller. A late acknowledgement is still taken.
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
	a.callers--
}

// abandon gives up on one message, whose caller stops waiting.
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

// expire gives up on messages that have timed out, and drops those that even a late acknowledgement
// can't settle. All have the same time-out, so they end in the order in which they began.
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

// startTimer makes the timer fire after d at the latest.
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
	return a.callers
}

// base is the base of the numbers in reply subjects.
const base = 36

// replyTo returns the subject on which a message is acknowledged.
func (a *acks) replyTo(inbox string, number uint64) string {
	var room [64]byte
	return string(strconv.AppendUint(append(append(append(room[:0], inbox...), '.'), a.prefix...), number, base))
}

// domainGrace is how long after an error the intended stream may still acknowledge, if the error
// may be another stream's: it doesn't name its domain (nats-server, JSPubAckResponse). An error
// about the wrong stream is always another's, because the message names ours.
const domainGrace = 250 * time.Millisecond

// receive handles an answer on the inbox.
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

// receive handles the answer to a message.
func (a *acks) receive(number uint64, ack ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.pending[number]
	switch {
	case !ok:
	case ack.err == nil && (string(ack.stream) != p.stream || a.domain != "" && ack.domain != a.domain):
		p.foreign = &foreignAck{string(ack.stream), ack.domain}
		a.pending[number] = p
	case ack.isRefusal && (a.domain != "" || isWrongStream(ack.err)):
		time.AfterFunc(domainGrace, func() { a.settle(number, outcome{err: ack.err}) })
	default:
		a.settleLocked(number, outcome{duplicate: ack.duplicate, err: ack.err})
	}
}

// ack is a parsed answer.
type ack struct {
	stream    []byte
	domain    string
	duplicate bool
	err       error
	isRefusal bool // err is JetStream's own
}

// readAck parses an answer.
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

// plainAck returns the stream of a bare {"stream","seq"} ack, the usual one, and reports whether
// data is one.
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

// sendQueue hands messages to nats.go in order, and concurrent ones together: these then share one
// write and a few acknowledgement packets.
type sendQueue struct {
	mu     sync.Mutex
	queue  []outgoing
	spare  []outgoing // an empty slice to reuse as queue
	sends  sync.Mutex // held while sending
	single nats.Msg   // reused for each message: nats.go keeps no reference to it
}

// outgoing is a message in the send queue.
type outgoing struct {
	Message
	stream string
	acks   *acks
	number uint64 // in acks
}

// put appends messages and reports whether the queue was empty. If so, the caller must call flush.
func (q *sendQueue) put(messages ...outgoing) (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first = len(q.queue) == 0
	q.queue = append(q.queue, messages...)
	return first
}

// take empties the queue and returns its messages.
func (q *sendQueue) take() (batch []outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, q.queue, q.spare = q.queue, q.spare, nil
	return batch
}

// flush yields once, so that concurrent callers can add messages, and then sends the queue. A
// message that can't be sent gets its outcome at once. One whose caller has its outcome already,
// because the connection was lost or the time-out passed, isn't sent.
func (p *Publisher) flush() {
	runtime.Gosched()
	q := &p.queue
	q.sends.Lock()
	defer q.sends.Unlock()
	batch := q.take()
	err := p.link.enter()
	if err == nil {
		defer p.link.leave()
	}
	s := p.session.Load()
	for _, m := range batch {
		switch {
		case err != nil:
		case !p.link.isUp():
			err = nats.ErrDisconnected
		case m.acks.isWaiting(m.number):
			if refused := s.nc.PublishMsg(q.message(s.inbox, m)); refused != nil {
				m.acks.settle(m.number, outcome{err: refused})
			}
		}
		if err != nil {
			m.acks.settle(m.number, outcome{err: err})
		}
	}
	clear(batch) // releases the data
	q.single.Data = nil
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = batch[:0]
}

// message returns m for nats.go. It is valid until the next call.
func (q *sendQueue) message(inbox string, m outgoing) *nats.Msg {
	if q.single.Header == nil {
		q.single.Header = make(nats.Header)
	}
	if q.setHeaders(m); len(q.single.Header) != 2+len(m.Headers) { // the last message had other headers
		q.single.Header = make(nats.Header)
		q.setHeaders(m)
	}
	q.single.Subject, q.single.Reply, q.single.Data = m.Subject, m.acks.replyTo(inbox, m.number), m.Data
	return &q.single
}

func (q *sendQueue) setHeaders(m outgoing) {
	q.setHeader(jetstream.MsgIDHeader, m.ID)
	q.setHeader(jetstream.ExpectedStreamHeader, m.stream)
	for _, h := range m.Headers {
		q.setHeader(h.Name, h.Value)
	}
}

// setHeader reuses the last message's slice, because most messages have the same headers.
func (q *sendQueue) setHeader(name, value string) {
	if values := q.single.Header[name]; values != nil {
		values[0] = value
	} else {
		q.single.Header[name] = []string{value}
	}
}
