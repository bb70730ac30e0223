package publish

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// session is a nats.go connection, which reconnects by itself until nats.go closes it for good.
type session struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	inbox string // acknowledgements arrive below it
}

// open starts a session.
func (p *Publisher) open() error {
	p.opening.Lock()
	defer p.opening.Unlock()
	if p.link.closing.Load() {
		return nil
	}
	p.link.opened.Store(false)
	nc, err := p.config.Server.connect(p.link)
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	js, err := p.config.Server.JetStream(nc)
	if err != nil {
		nc.Close()
		return fmt.Errorf("using JetStream: %w", err)
	}
	inbox := nc.NewInbox()
	if _, err := nc.Subscribe(inbox+".*", p.receive); err != nil {
		nc.Close()
		return fmt.Errorf("subscribing to acknowledgements: %w", err)
	}
	p.session.Store(&session{nc, js, inbox})
	p.link.nc.Store(nc)
	p.link.opened.Store(true)
	return nil
}

// reopen starts a new session after nats.go has closed one for good. nats.go does that on any
// server error that it doesn't know: for example, a message above a max_payload that was lowered by
// a reload.
func (p *Publisher) reopen() {
	for err := p.open(); err != nil; err = p.open() {
		p.link.unreachable(err)
		select {
		case <-p.link.ctx.Done():
			return
		case <-time.After(maxRetry):
		}
	}
}
