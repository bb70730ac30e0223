package ingest

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a body may take before it has to make room for others. A sender that is in earnest is done
// long before: one vendor allows a delivery a second for all of it, the answer included.
const patience = time.Second

// budget bounds the bytes that all requests hold together. Where it is spent, a body that has been coming for
// longer than patience makes room, the one that has taken longest first: otherwise a hundred senders that stop in
// the middle of a large body would keep everybody out for bodyTimeout, again and again (ADR 12).
type budget struct {
	limit   int64
	now     func() time.Time
	used    atomic.Int64
	mu      sync.Mutex
	senders list.List // of *sender, in the order in which they began
}

// sender is a request whose body is still coming and already takes more than a first block.
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
	bytes  int64
	sender *sender // nil unless its body is coming
}

// take charges n bytes, and says whether they fit.
func (h *hold) take(n int) bool {
	for h.budget.used.Add(int64(n)) > h.budget.limit {
		h.budget.used.Add(-int64(n))
		if !h.makeRoom() {
			return false
		}
	}
	h.bytes += int64(n)
	return true
}

// giveBack returns n bytes of those taken.
func (h *hold) giveBack(n int) {
	h.bytes -= int64(n)
	h.budget.used.Add(-int64(n))
}

// makeRoom has the longest sender drop what it holds, and waits until it has. It says whether there was one.
func (h *hold) makeRoom() bool {
	b := h.budget
	b.mu.Lock()
	var longest *sender
	if e := b.senders.Front(); e != nil {
		longest = e.Value.(*sender)
	}
	if longest == nil || longest == h.sender || b.now().Sub(longest.since) < patience {
		b.mu.Unlock()
		return false
	}
	b.senders.Remove(longest.place)
	close(longest.asked)
	longest.interrupt() // under the lock, so that it can't meet the connection's next request
	b.mu.Unlock()
	var asked chan struct{} // it may be our turn meanwhile: two that wait for each other both go
	if h.sender != nil {
		asked = h.sender.asked
	}
	select {
	case <-longest.gone:
		return true
	case <-asked:
		return false
	}
}

// sends makes it known that the body is coming, and how to interrupt that.
func (h *hold) sends(interrupt func()) {
	b := h.budget
	s := &sender{since: b.now(), interrupt: interrupt, asked: make(chan struct{}), gone: make(chan struct{})}
	b.mu.Lock()
	s.place = b.senders.PushBack(s)
	b.mu.Unlock()
	h.sender = s
}

// sent makes it known that nothing more comes, and says whether what came may be kept: false where it has had
// to make room.
func (h *hold) sent() bool {
	if h.sender == nil {
		return true
	}
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	h.budget.senders.Remove(h.sender.place)
	select {
	case <-h.sender.asked:
		return false
	default:
		h.sender = nil
		return true
	}
}

// release gives everything back.
func (h *hold) release() {
	h.giveBack(int(h.bytes))
	if h.sender != nil {
		h.sent()
	}
	if h.sender != nil { // somebody waits for it
		close(h.sender.gone)
		h.sender = nil
	}
}
