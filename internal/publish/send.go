package publish

import (
	"encoding/json"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sendQueue hands messages to nats.go in order, and concurrent ones together: these then share one
// write and a few acknowledgement packets.
type sendQueue struct {
	mu    sync.Mutex
	queue []outgoing

	sends  sync.Mutex // held while sending; it guards what follows
	spare  []outgoing // for the next queue
	msg    nats.Msg   // the message that is sent; nats.go copies it
	values []string   // of its headers
}

// outgoing is a message in the send queue.
type outgoing struct {
	Message
	*awaited
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
	batch, q.queue = q.queue, q.spare
	return batch
}

// flush yields once, so that concurrent callers can add messages, and then sends the queue. A message
// that can't be sent gets its outcome at once. A message isn't sent if it has its outcome already: the
// connection was lost, or the time-out has passed.
func (p *Publisher) flush() {
	runtime.Gosched()
	p.queue.sends.Lock()
	defer p.queue.sends.Unlock()
	batch := p.queue.take()
	for _, m := range batch {
		s, err := p.connected()
		if err == nil && p.acks.isWaiting(m.awaited) {
			err = s.nc.PublishMsg(p.queue.fill(m, s.inbox))
		}
		if err != nil {
			p.acks.settle(m.awaited, outcome{err: err})
		}
	}
	clear(batch) // releases the data
	p.queue.spare, p.queue.msg.Data = batch[:0], nil
}

// fill returns the message for nats.go. It is valid until the next call.
func (q *sendQueue) fill(m outgoing, inbox string) *nats.Msg {
	if q.msg.Header == nil {
		q.msg.Header = nats.Header{}
	}
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

// receive handles an answer on the inbox.
func (p *Publisher) receive(m *nats.Msg) {
	token := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	if number, err := strconv.ParseUint(token, 10, 64); err == nil {
		p.acks.receive(number, readAck(m))
	}
}

// ack is a parsed answer.
type ack struct {
	stream, domain string
	duplicate      bool
	err            error
	isRefusal      bool // err is JetStream's own
}

// readAck parses an answer.
func readAck(m *nats.Msg) ack {
	if stream, ok := plainAck(string(m.Data)); ok {
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
	return ack{stream: read.Stream, domain: read.Domain, duplicate: read.Duplicate}
}

// plainAck returns the stream of a bare {"stream","seq"} answer, the usual one, and reports whether data
// is one. Decoding it as JSON would take a tenth of the time that a record from the spool takes.
func plainAck(data string) (stream string, ok bool) {
	rest, begins := strings.CutPrefix(data, `{"stream":"`)
	stream, sequence, isNext := strings.Cut(rest, `","seq":`)
	digits, ends := strings.CutSuffix(sequence, "}")
	return stream, begins && isNext && ends && stream != "" && !strings.ContainsAny(stream, `"\\`) &&
		digits != "" && strings.Trim(digits, "0123456789") == ""
}
