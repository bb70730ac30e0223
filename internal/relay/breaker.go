package relay

import (
	"sync/atomic"
	"time"
)

// breaker is open after a few failures in a row: then nothing is published directly, so that no
// sender waits for an acknowledgement that hardly comes. It closes with the first success, which is
// the forwarder's as a rule.
type breaker struct {
	now      func() time.Time
	failures atomic.Int32
	probeAt  atomic.Int64 // Unix nanoseconds: when one more may try
}

const (
	breaksAfter = 3
	probeEvery  = time.Second
)

// report is told of each attempt.
func (b *breaker) report(ok bool) {
	if ok {
		if b.failures.Load() != 0 {
			b.failures.Store(0)
		}
		return
	}
	b.probeAt.Store(b.now().Add(probeEvery).UnixNano())
	if b.failures.Add(1) > 1<<30 {
		b.failures.Store(breaksAfter)
	}
}

func (b *breaker) isClosed() bool { return b.failures.Load() < breaksAfter }

// allow says whether to try where there is no other way: always while closed, otherwise one a second.
func (b *breaker) allow() bool {
	if b.isClosed() {
		return true
	}
	at, now := b.probeAt.Load(), b.now()
	return now.UnixNano() >= at && b.probeAt.CompareAndSwap(at, now.Add(probeEvery).UnixNano())
}

func (b *breaker) state() string {
	switch {
	case b.isClosed():
		return "closed"
	case b.now().UnixNano() >= b.probeAt.Load():
		return "half-open"
	}
	return "open"
}
