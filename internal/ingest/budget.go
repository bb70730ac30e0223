package ingest

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a head or a body may take before it must make room for others. A real sender
// is faster: one vendor allows a second for a delivery and its answer.
const patience = time.Second

// budget bounds the bytes that all requests hold together. Once it is spent, the request that has
// been arriving longest makes room, if that is longer than patience. Otherwise a hundred
// senders that stop in the middle of a large body would keep everybody else out for bodyTimeout,
// again and again (ADR 12).
type budget struct {
	limit   int64
	now     func() time.Time
	used    atomic.Int64
	mu      sync.Mutex
	senders list.List // of *sender, oldest first
}

// sender is a large request that is still arriving.
type sender struct {
	since     time.Time
	interrupt func()        // ends its reading at once
	place     *list.Element // in budget.senders
	asked     chan struct{} // closed when it must make room
	released  chan struct{} // closed once it holds nothing
}

// hold is a request's share of the budget.
type hold struct {
	budget *budget
	bytes  atomic.Int64
	sender atomic.Pointer[sender] // nil unless it is still arriving
}

// take charges n bytes and reports whether they fit.
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

// makeRoom makes the slowest sender drop its bytes, and waits for that. It reports whether there
// was one.
func (h *hold) makeRoom() bool {
	b, own := h.budget, h.sender.Load()
	b.mu.Lock()
	var slowest *sender
	if e := b.senders.Front(); e != nil {
		slowest = e.Value.(*sender)
	}
	if slowest == nil || slowest == own || b.now().Sub(slowest.since) < patience {
		b.mu.Unlock()
		return false
	}
	b.senders.Remove(slowest.place)
	close(slowest.asked)
	slowest.interrupt() // under the lock, so that it can't hit the connection's next request
	b.mu.Unlock()
	var asked chan struct{} // we may be asked meanwhile: of two that wait for each other, both give up
	if own != nil {
		asked = own.asked
	}
	select {
	case <-slowest.released:
		return true
	case <-asked:
		return false
	}
}

// receiving registers the request as one that is still arriving.
func (h *hold) receiving(interrupt func()) {
	if h.sender.Load() != nil {
		return
	}
	b := h.budget
	s := &sender{since: b.now(), interrupt: interrupt, asked: make(chan struct{}), released: make(chan struct{})}
	b.mu.Lock()
	s.place = b.senders.PushBack(s)
	b.mu.Unlock()
	h.sender.Store(s)
}

// received notes that the request has arrived, and reports whether its bytes may be kept: not if it
// was asked to make room.
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

// release gives everything back. Any goroutine may call it at any time.
func (h *hold) release() {
	if n := h.bytes.Swap(0); n != 0 {
		h.budget.used.Add(-n)
	}
	if s := h.sender.Swap(nil); s != nil {
		h.budget.mu.Lock()
		h.budget.senders.Remove(s.place)
		h.budget.mu.Unlock()
		close(s.released)
	}
}
