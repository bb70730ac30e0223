package publish

import (
	"runtime"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// outbox hands messages to nats.go, in the order in which they came, and those that come at the same time
// together: then they go out in one write rather than one each, and are acknowledged as few.
type outbox struct {
	mu     sync.Mutex
	queue  []outgoing
	spare  []outgoing // the queue's other half, empty
	sends  sync.Mutex // held by the one that hands over
	single nats.Msg   // the one that is handed over; nats.go keeps nothing of it
}

// outgoing is a message in the outbox.
type outgoing struct {
	durable.Message
	stream string
	number uint64 // by which acks knows it
}

// put appends messages to the queue and says whether it was empty: then the caller must send it.
func (o *outbox) put(messages ...outgoing) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first = len(o.queue) == 0
	o.queue = append(o.queue, messages...)
	return first
}

// take takes the whole queue.
func (o *outbox) take() []outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch := o.queue
	o.queue, o.spare = o.spare, nil
	return batch
}

// sendQueue hands over what is in the queue, once others have had a moment to add theirs. What can't be
// sent has its outcome at once. What has its outcome already, because the connection was lost or its
// time is over, isn't sent any more.
func (p *Publisher) sendQueue() {
	runtime.Gosched()
	o := &p.outbox
	o.sends.Lock()
	defer o.sends.Unlock()
	batch := o.take()
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
		case p.acks.isWaiting(m.number):
			if refused := s.nc.PublishMsg(o.message(s.inbox, m)); refused != nil {
				p.acks.settle(m.number, outcome{err: refused})
			}
		}
		if err != nil {
			p.acks.settle(m.number, outcome{err: err})
		}
	}
	clear(batch) // keeps no data
	o.single.Data = nil
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spare = batch[:0]
}

// message is the message as nats.go takes it, until the next call.
func (o *outbox) message(inbox string, m outgoing) *nats.Msg {
	if o.setHeaders(m); len(o.single.Header) != 2+len(m.Headers) { // the one before had others
		o.single.Header = make(nats.Header)
		o.setHeaders(m)
	}
	o.single.Subject, o.single.Reply, o.single.Data = m.Subject, replyTo(inbox, m.number), m.Data
	return &o.single
}

func (o *outbox) setHeaders(m outgoing) {
	o.setHeader(jetstream.MsgIDHeader, m.ID)
	o.setHeader(jetstream.ExpectedStreamHeader, m.stream)
	for _, h := range m.Headers {
		o.setHeader(h.Name, h.Value)
	}
}

// setHeader uses what there was of that name again: most messages have the same headers.
func (o *outbox) setHeader(name, value string) {
	if values := o.single.Header[name]; values != nil {
		values[0] = value
		return
	}
	if o.single.Header == nil {
		o.single.Header = make(nats.Header)
	}
	o.single.Header[name] = []string{value}
}
