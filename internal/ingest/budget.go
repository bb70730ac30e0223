package ingest

import (
	"container/list"
	"runtime"
	"sync"
	"time"
)

// patience is how long a head or a body may take before it must make room for others. A real sender
// is faster: one vendor allows a second for a delivery and its answer.
const patience = time.Second

// budget bounds the bytes that all requests hold together. Once it is used up, the request that has been
// arriving longest makes room, if that is longer than patience. Otherwise a hundred senders that stop in
// the middle of a large body would keep all others out for bodyTimeout, again and again (ADR 12).
type budget struct {
	limit   int64
	now     func() time.Time
	mu      sync.Mutex // guards the holds, too
	used    int64
	senders list.List // of *hold: the requests still arriving, oldest first
}

// hold is a request's share of the budget. Any goroutine may call its methods at any time.
type hold struct {
	budget    *budget
	interrupt func() // ends the request's reading at once
	bytes     int64
	since     time.Time     // when it was added to budget.senders
	place     *list.Element // in budget.senders; nil unless the request is still arriving
	evicted   bool          // the request has had to make room
}

// take charges n bytes, and reports whether they fit and the request hasn't had to make room. Only a
// request that is still arriving may have to.
func (h *hold) take(n int, isArriving bool) bool {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	fits := !h.evicted
	for fits && b.used+int64(n) > b.limit {
		fits = b.makeRoom(h)
	}
	if fits {
		h.bytes += int64(n)
		b.used += int64(n)
	}
	switch {
	case !isArriving:
		h.leave()
	case fits && h.place == nil:
		h.since, h.place = b.now(), b.senders.PushBack(h)
	}
	return fits
}

// makeRoom takes the bytes from the request that has been arriving longest, and ends its reading. It
// returns false if that is asking itself, or hasn't been arriving for longer than patience.
func (b *budget) makeRoom(asking *hold) bool {
	e := b.senders.Front()
	if e == nil {
		return false
	}
	slowest := e.Value.(*hold)
	if slowest == asking || b.now().Sub(slowest.since) < patience {
		return false
	}
	slowest.giveBack()
	slowest.evicted = true
	slowest.interrupt() // under the lock: later it could hit the connection's next request
	return true
}

// release gives all bytes back. The hold is then free for the next request.
func (h *hold) release() {
	h.budget.mu.Lock()
	defer h.budget.mu.Unlock()
	h.giveBack()
	h.evicted = false
}

func (h *hold) giveBack() {
	h.leave()
	h.budget.used -= h.bytes
	h.bytes = 0
}

func (h *hold) leave() {
	if h.place != nil {
		h.budget.senders.Remove(h.place)
		h.place = nil
	}
}

// inUse returns how many bytes are held.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

const (
	// smallBytes is the largest body that is verified without a slot. The most expensive one takes
	// 3 ms of a core, less than the scheduler's time slice. So about one for each core is in
	// progress at a time.
	smallBytes = 32 << 10
	// workFactor is the memory for verifying the most expensive body, in multiples of its length. It
	// holds a copy, and lists of members.
	workFactor = 12
	// slotTimeout is how long a large body waits for a slot.
	slotTimeout = 250 * time.Millisecond
)

// slots returns how many large bodies may be verified at a time: one for each core. More would finish no
// sooner, take more memory and delay small ones. Together they use at most a quarter of maxInFlight,
// unless a single one needs more.
func slots(maxInFlight, maxBody int64) int64 {
	fit := maxInFlight / 4 / max(1, workFactor*maxBody)
	return max(1, min(int64(runtime.GOMAXPROCS(0)), fit))
}
