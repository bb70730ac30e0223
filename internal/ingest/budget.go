package ingest

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a head, or a body, may take before it has to make room for others. A sender in earnest is done
// long before: one vendor allows a delivery a second for all of it, the answer included.
const patience = time.Second

// budget bounds the bytes that all requests hold together. Where it is spent, what has been coming for longer than
// patience makes room, the one that has taken longest first: otherwise a hundred senders that stop in the middle of
// a large body would keep everybody out for bodyTimeout, again and again (ADR 12).
type budget struct {
	limit   int64
	now     func() time.Time
	used    atomic.Int64
	mu      sync.Mutex
	senders list.List // of *sender, in the order in which they began
}

// sender is a request of which more is still coming, so much of it that others may need the room.
type sender struct {
	since     time.Time
	interrupt func()        // makes its reading return at once
	place     *list.Element // in budget.senders
	asked     chan struct{} // closed where it has to make room
	gone      chan struct{} // closed once it holds nothing
}

// hold is one request's part of the budget.
type hold struct {
	budget *budget
	bytes  atomic.Int64
	sender atomic.Pointer[sender] // nil unless more of it is coming
}

// take charges n bytes, and reports whether they fit.
func (h *hold) take(n int) bool {
	for h.budget.used.Add(int64(n)) > h.budget.limit {
		h.budget.used.Add(-int64(n))
		if !h.makeRoom() {
			return false
		}
	}
	h.bytes.Add(int64(n))
	return true
}

// makeRoom has the sender that has taken longest drop what it holds, and waits until it has. It reports whether there
// was one.
func (h *hold) makeRoom() bool {
	b, own := h.budget, h.sender.Load()
	b.mu.Lock()
	var longest *sender
	if e := b.senders.Front(); e != nil {
		longest = e.Value.(*sender)
	}
	if longest == nil || longest == own || b.now().Sub(longest.since) < patience {
		b.mu.Unlock()
		return false
	}
	b.senders.Remove(longest.place)
	close(longest.asked)
	longest.interrupt() // under the lock, so that it can't meet the connection's next request
	b.mu.Unlock()
	var asked chan struct{} // it may be our turn meanwhile: two that wait for each other both go
	if own != nil {
		asked = own.asked
	}
	select {
	case <-longest.gone:
		return true
	case <-asked:
		return false
	}
}

// receiving makes known that more is coming, and how to interrupt that.
func (h *hold) receiving(interrupt func()) {
	if h.sender.Load() != nil {
		return
	}
	b := h.budget
	s := &sender{since: b.now(), interrupt: interrupt, asked: make(chan struct{}), gone: make(chan struct{})}
	b.mu.Lock()
	s.place = b.senders.PushBack(s)
	b.mu.Unlock()
	h.sender.Store(s)
}

// received makes known that nothing more comes, and reports whether what came may be kept: it may not where it has
// had to make room.
func (h *hold) received() bool {
	s := h.sender.Load()
	if s == nil {
		return true
	}
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	h.budget.senders.Remove(s.place)
	select {
	case <-s.asked:
		return false
	default:
		h.sender.CompareAndSwap(s, nil)
		return true
	}
}

// release gives everything back. It may be called at any time, by anybody.
func (h *hold) release() {
	if n := h.bytes.Swap(0); n != 0 {
		h.budget.used.Add(-n)
	}
	if s := h.sender.Swap(nil); s != nil {
		h.budget.mu.Lock()
		h.budget.senders.Remove(s.place)
		h.budget.mu.Unlock()
		close(s.gone) // somebody may wait for it
	}
}
