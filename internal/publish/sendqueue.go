package publish

import (
	"runtime"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sendQueue hands messages to nats.go in order, and concurrent ones together: these then share one write and
// a few acknowledgement packets.
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

// take empties the queue and returns what was in it.
func (q *sendQueue) take() []outgoing {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.queue
	q.queue, q.spare = q.spare, nil
	return batch
}

// flush yields once, so that concurrent callers can add messages, and then sends the queue. A message that
// can't be sent gets its outcome at once. One whose caller has its outcome already, because the connection
// was lost or the time-out passed, isn't sent.
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
		return
	}
	if q.single.Header == nil {
		q.single.Header = make(nats.Header)
	}
	q.single.Header[name] = []string{value}
}
