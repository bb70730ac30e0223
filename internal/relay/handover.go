package relay

import (
	"context"
	"sync"
	"time"
)

// handover is how a kind's messages come from the spool's way back to the direct one. Under a steady flow
// the spool is never empty by itself: while one record is delivered others are appended behind it. So once
// the forwarder has come to the end of the queue, those that arrive are held for a moment; nothing is
// appended any more, what is on its way gets delivered, and they go directly, still behind it.
//
// A disk or a stream too slow for that costs them the moment and no more; then it is tried less often.
type handover struct {
	mu    sync.Mutex
	held  chan struct{} // closed when the moment is over; nil while there is none
	until *time.Timer   // that ends it
	next  time.Time     // no other one before
	pause time.Duration
}

const (
	// holdFor leaves a held message time to be refused by JetStream and to be spooled, within answerBound.
	holdFor          = 100 * time.Millisecond
	firstHoldPause   = time.Second
	longestHoldPause = 30 * time.Second
)

// begin holds what arrives from now on, unless it was tried a little while ago.
func (h *handover) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.held == nil && now.After(h.next) {
		h.pause = min(max(2*h.pause, firstHoldPause), longestHoldPause)
		h.next = now.Add(h.pause)
		held := make(chan struct{})
		h.held, h.until = held, time.AfterFunc(holdFor, func() { h.end(held) })
	}
}

// succeed lets go those that are held: the spool is empty.
func (h *handover) succeed() {
	h.mu.Lock()
	h.pause, h.next = 0, time.Time{}
	held := h.held
	h.mu.Unlock()
	h.end(held)
}

// end lets go those that are held, unless they are others by now.
func (h *handover) end(held chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held != nil && h.held == held {
		h.until.Stop()
		close(h.held)
		h.held = nil
	}
}

// wait says whether the message was held, and comes back when it is no longer.
func (h *handover) wait(ctx context.Context) bool {
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	if held == nil {
		return false
	}
	select {
	case <-held:
	case <-ctx.Done():
	}
	return true
}
