package relay

import (
	"context"
	"sync"
	"time"
)

// drainGate lets a kind's messages be published directly again after they went through the spool.
// Under a steady flow the spool never runs empty: while one record is delivered others are appended.
// So once a single batch is left, the gate closes for a moment. New messages wait, nothing is
// appended, the last records are delivered, and then the waiting messages are published directly,
// still in order.
//
// If the disk or the stream is too slow for that, the messages have waited in vain.
type drainGate struct {
	mu    sync.Mutex
	held  chan struct{} // closed when the gate opens; nil while it is open
	until *time.Timer   // opens it
	next  time.Time     // it doesn't close before this time
}

const (
	// holdFor is longer than an acknowledgement takes over any distance. Within answerBound it
	// leaves a held message enough time to be tried in JetStream and then spooled.
	holdFor   = 250 * time.Millisecond
	holdEvery = 5 * time.Second
)

// close holds new messages, unless it has done so a short time ago.
func (g *drainGate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.held == nil && now.After(g.next) {
		g.next = now.Add(holdEvery)
		held := make(chan struct{})
		g.held, g.until = held, time.AfterFunc(holdFor, func() { g.release(held) })
	}
}

// drained opens the gate: the spool is empty.
func (g *drainGate) drained() {
	g.mu.Lock()
	g.next = time.Time{}
	held := g.held
	g.mu.Unlock()
	g.release(held)
}

// release lets the held messages go, unless the gate was closed again since.
func (g *drainGate) release(held chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil && g.held == held {
		g.until.Stop()
		close(g.held)
		g.held = nil
	}
}

// wait returns once the gate is open, and reports whether it was closed.
func (g *drainGate) wait(ctx context.Context) bool {
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	if held == nil {
		return false
	}
	select {
	case <-held:
	case <-ctx.Done():
	}
	return true
}
