package publish

import (
	"runtime"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// sendQueue hands messages to nats.go in the order in which they came, and those that come at the same time
// together: then they go out in one write rather than one each, and are acknowledged as few.
type sendQueue struct {
	mu     sync.Mutex
	queue  []outgoing
	spare  []outgoing // the queue's other half, empty
	sends  sync.Mutex // held by the one that hands over
	single nats.Msg   // the one that is handed over; nats.go keeps nothing of it
}

// outgoing is a message in the send queue.
type outgoing struct {
	durable.Message
	stream string
	acks   *acks
	number uint64 // by which acks knows it
}

// put appends messages and reports whether the queue was empty: then the caller must send it.
func (q *sendQueue) put(messages ...outgoing) (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first = len(q.queue) == 0
	q.queue = append(q.queue, messages...)
	return first
}

// take takes the whole queue.
func (q *sendQueue) take() []outgoing {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.queue
	q.queue, q.spare = q.spare, nil
	return batch
}

// flush hands over what is in the send queue, once others have had a moment to add theirs. A message that
// can't be sent has its outcome at once. One whose caller has its outcome already, because the connection
// was lost or its time is over, isn't sent any more.
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
	clear(batch) // keeps no data
	q.single.Data = nil
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = batch[:0]
}

// message is the message as nats.go takes it, until the next call.
func (q *sendQueue) message(inbox string, m outgoing) *nats.Msg {
	if q.setHeaders(m); len(q.single.Header) != 2+len(m.Headers) { // the one before had others
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

// setHeader uses the last message's slice again: most messages have the same headers.
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
