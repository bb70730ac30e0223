package relay

import (
	"context"
	"sync"
	"time"
)

// drainGate helps a spool to run empty, so that new messages are published directly again. Under a steady
// flow it never would: while one record is delivered others are appended. So once a single batch is left,
// the gate closes for a moment. New messages wait at the gate, the last records are delivered, and then the
// waiting messages are published directly, still in order.
//
// If the disk or the stream is too slow for that, the messages have waited in vain.
type drainGate struct {
	mu   sync.Mutex
	held context.Context // ends when the gate opens; nil: it was never closed
	open context.CancelFunc
	next time.Time // the gate doesn't close before this time
}

const (
	// holdFor is longer than an acknowledgement takes over any distance. It leaves a held message enough
	// of answerBound to be tried in JetStream and then spooled.
	holdFor   = 250 * time.Millisecond
	holdEvery = 5 * time.Second
)

// close closes the gate for a moment, unless it was closed a short time ago.
func (g *drainGate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.After(g.next) {
		g.next = now.Add(holdEvery)
		g.held, g.open = context.WithTimeout(context.Background(), holdFor)
	}
}

// drained opens the gate: the spool is empty.
func (g *drainGate) drained() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = time.Time{}
	if g.open != nil {
		g.open()
	}
}

// wait returns once the gate is open, and reports whether it was closed.
func (g *drainGate) wait(ctx context.Context) bool {
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	if held == nil || held.Err() != nil {
		return false
	}
	select {
	case <-held.Done():
	case <-ctx.Done():
	}
	return true
}
