package publish

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sendQueue passes messages to nats.go in order, and concurrent ones together. These then share one write
// to the connection, and their acknowledgements share a few packets.
type sendQueue struct {
	mu    sync.Mutex
	queue []outgoing

	sends  sync.Mutex // held while sending; it guards the fields below
	spare  []outgoing // the next queue, empty
	msg    nats.Msg   // the message that is sent; nats.go copies it
	values []string   // of the message's headers
}

// outgoing is a message in the send queue.
type outgoing struct {
	Message
	*awaited
}

// put appends a message, and reports whether the queue was empty. If it was, the caller must see to it that
// flush is called.
func (q *sendQueue) put(m outgoing) (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, m)
	return len(q.queue) == 1
}

// take empties the queue and returns its messages.
func (q *sendQueue) take() (batch []outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, q.queue = q.queue, q.spare
	return batch
}

// flush yields once, so that concurrent callers can add messages, and then sends the queued messages. One
// that can't be sent gets its result at once. One that has a result already isn't sent: the connection was
// lost, or the time-out has passed.
func (p *Publisher) flush() {
	runtime.Gosched()
	p.queue.sends.Lock()
	defer p.queue.sends.Unlock()
	batch := p.queue.take()
	for _, m := range batch {
		s, err := p.connected()
		if err == nil && p.acks.isWaiting(m.awaited) {
			err = s.nc.PublishMsg(p.queue.fill(m, p.inbox))
		}
		if err != nil {
			p.acks.settle(m.awaited, Result{Err: err})
		}
	}
	clear(batch) // releases the data
	p.queue.spare, p.queue.msg.Data = batch[:0], nil
}

// fill returns the message in nats.go's form. It is valid until the next call.
func (q *sendQueue) fill(m outgoing, inbox string) *nats.Msg {
	clear(q.msg.Header)
	q.values = q.values[:0]
	set := func(name, value string) {
		q.values = append(q.values, value)
		q.msg.Header[name] = q.values[len(q.values)-1:]
	}
	set(jetstream.MsgIDHeader, m.Message.ID)
	set(jetstream.ExpectedStreamHeader, m.stream)
	for _, h := range m.Headers {
		set(h.Name, h.Value)
	}
	q.msg.Subject, q.msg.Reply, q.msg.Data = m.Subject, replyTo(inbox, m.number), m.Data
	return &q.msg
}

// replyTo returns the subject on which a message is acknowledged.
func replyTo(inbox string, number uint64) string {
	return inbox + "." + strconv.FormatUint(number, 10)
}

// receive handles an answer that arrives in the inbox.
func (p *Publisher) receive(m *nats.Msg) {
	token := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	if number, err := strconv.ParseUint(token, 10, 64); err == nil {
		p.acks.receive(number, readAck(m))
	}
}

// ack is a parsed answer.
type ack struct {
	stream, domain string
	sequence       uint64
	duplicate      bool
	err            error
}

// readAck parses an answer.
func readAck(m *nats.Msg) ack {
	if stream, sequence, ok := plainAck(string(m.Data)); ok {
		return ack{stream: stream, sequence: sequence}
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack{err: jetstream.ErrNoStreamResponse}
	}
	var read struct {
		Stream, Domain string
		Seq            uint64
		Duplicate      bool
		Error          *jetstream.APIError
	}
	switch err := json.Unmarshal(m.Data, &read); {
	case err != nil:
		return ack{err: jetstream.ErrInvalidJSAck}
	case read.Error != nil:
		return ack{err: read.Error}
	case read.Stream == "":
		return ack{err: jetstream.ErrInvalidJSAck}
	case read.Seq == 0:
		return ack{err: errInProcess}
	}
	return ack{stream: read.Stream, domain: read.Domain, sequence: read.Seq, duplicate: read.Duplicate}
}

// errInProcess means that the stream is storing another copy of the message, and may yet fail to. nats-server
// 2.10 answers as for a duplicate, with the sequence number 0 (jetstream_cluster.go,
// processClusteredInboundMsg), and newer ones with this error. 2.10 also answers so once a full stream has
// refused the message; only its leader remembers that.
var errInProcess = &jetstream.APIError{ErrorCode: codeInProcess, Description: "a copy of the message is in process, " +
	"or could not be stored: if this lasts, see whether the stream is full, then make its leader step down"}

// plainAck returns the parts of the usual answer, a bare {"stream","seq"}, and reports whether data is one.
// Decoding it as JSON would add a tenth to the time for a record from the spool.
func plainAck(data string) (stream string, sequence uint64, ok bool) {
	rest, begins := strings.CutPrefix(data, `{"stream":"`)
	stream, rest, isNext := strings.Cut(rest, `","seq":`)
	digits, ends := strings.CutSuffix(rest, "}")
	sequence, err := strconv.ParseUint(digits, 10, 64)
	return stream, sequence, begins && isNext && ends && stream != "" && !strings.ContainsAny(stream, `"\\`) &&
		err == nil && digits[0] != '0'
}

// acks matches acknowledgements to messages. Each message gets one result within its time-out. A later
// acknowledgement still means that the message is stored, and is passed to late.
type acks struct {
	domain string // of the intended JetStream; "": any
	late   func(Delivery, Place)

	mu      sync.Mutex
	pending map[uint64]*awaited
	next    uint64      // the number of the next message
	timer   *time.Timer // calls expire
	due     time.Time   // when the timer fires; zero: it is not set
}

// awaited is a message whose acknowledgement is awaited.
type awaited struct {
	Delivery
	number  uint64
	stream  string // the intended one
	place   Place
	began   time.Time
	done    chan Result // holds one
	givenUp bool        // the caller has an error; only a late acknowledgement is awaited
	until   time.Time   // when the message is given up; once it is, when it is forgotten
	foreign error       // the answer of another stream, another domain or a service
}

// Place is where a message is stored.
type Place struct {
	StreamCreated time.Time // as of the last check before sending
	Epoch         int64     // the publisher's when it was sent
	Sequence      uint64
}

// IsIn reports whether the stream is still the same, and wasn't restored from an older copy.
func (p Place) IsIn(info *jetstream.StreamInfo) bool {
	return p.StreamCreated.Equal(info.Created) && p.Sequence <= info.State.LastSeq
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
	a := &acks{domain: domain, late: func(Delivery, Place) {}, pending: make(map[uint64]*awaited)}
	a.timer = time.AfterFunc(time.Hour, a.expire)
	return a
}

// begin registers a message. Its result comes within the time-out.
func (a *acks) begin(m Message, stream string, place Place, timeout time.Duration) *awaited {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := &awaited{
		Delivery: m.Delivery(), number: a.next, stream: stream, place: place,
		began: time.Now(), done: make(chan Result, 1),
	}
	a.next++
	a.pending[w.number] = w
	a.expireAt(w, w.began.Add(timeout))
	return w
}

// expireEvery is the shortest time between two calls of expire.
const expireEvery = 10 * time.Millisecond

// expireAt sets when the message is given up or forgotten. All messages share one timer, which under load
// fires once in each time-out. Timers of their own would nearly always be stopped before they fire.
func (a *acks) expireAt(w *awaited, at time.Time) {
	w.until = at
	if a.due.IsZero() || at.Before(a.due) {
		a.due = at
		a.timer.Reset(max(time.Until(at), expireEvery))
	}
}

// expire gives up the messages whose time is over, and forgets those that were given up long ago.
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
		default: // perhaps another than the intended stream has answered
			a.giveUpLocked(w, cmp.Or[error](w.foreign, jetstream.ErrAsyncPublishTimeout))
		}
	}
}

// isWaiting reports whether the message has no result yet.
func (a *acks) isWaiting(w *awaited) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pending[w.number] != nil && !w.givenUp
}

// waiting returns how many messages have no result yet.
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

// settle sets a message's result. Only the first one counts.
func (a *acks) settle(w *awaited, r Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settleLocked(w, r)
}

func (a *acks) settleLocked(w *awaited, r Result) {
	if a.pending[w.number] == nil {
		return
	}
	delete(a.pending, w.number)
	w.place.Sequence = r.Place.Sequence
	switch {
	case !w.givenUp:
		r.Took, r.Place = time.Since(w.began), w.place
		w.done <- r
	case r.Err == nil:
		a.late(w.Delivery, w.place)
	}
}

// giveUp sets an error as the message's result, unless it has one. A late acknowledgement still counts.
func (a *acks) giveUp(w *awaited, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.giveUpLocked(w, err)
}

func (a *acks) giveUpLocked(w *awaited, err error) {
	if a.pending[w.number] == nil || w.givenUp {
		return
	}
	w.givenUp = true
	w.done <- Result{Err: err}
	a.expireAt(w, time.Now().Add(lateFor))
}

// fail gives up all messages.
func (a *acks) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.pending {
		a.giveUpLocked(w, err)
	}
}

// domainGrace is how long the intended stream may still acknowledge a message after an error that may be
// another stream's: an error doesn't name its domain (nats-server, JSPubAckResponse). A stream that refuses
// a message because it isn't the expected one is always another stream.
const domainGrace = 250 * time.Millisecond

// receive handles the answer to a message.
func (a *acks) receive(number uint64, ack ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.pending[number]
	_, isRefusal := errors.AsType[*jetstream.APIError](ack.err)
	switch {
	case w == nil:
	case ack.err == nil && (ack.stream != w.stream || a.domain != "" && ack.domain != a.domain):
		w.foreign = &foreignAck{ack.stream, ack.domain}
	case errors.Is(ack.err, jetstream.ErrInvalidJSAck): // a service answers on the events' subjects
		w.foreign = ack.err
	case isRefusal && (a.domain != "" || classify(ack.err) == WrongStream):
		time.AfterFunc(domainGrace, func() { a.settle(w, Result{Err: ack.err}) })
	case ack.err != nil:
		a.settleLocked(w, Result{Err: ack.err})
	case ack.duplicate:
		a.settleLocked(w, Result{Status: Duplicate, Place: Place{Sequence: ack.sequence}})
	default:
		a.settleLocked(w, Result{Status: Stored, Place: Place{Sequence: ack.sequence}})
	}
}
