package relay

import (
	"sync/atomic"
	"time"
)

// breaker opens after a few failures in a row. While it is open nothing is published directly, so
// that no sender waits for an acknowledgement that is unlikely to come. It closes with the first
// success in time, usually the forwarder's.
type breaker struct {
	failures atomic.Int32
	probeAt  atomic.Int64 // when one more may try, as uptime counts
}

const (
	breaksAfter = 3
	probeEvery  = time.Second
)

var started = time.Now()

// uptime is a clock that nobody sets.
func uptime() time.Duration { return time.Since(started) }

// report records the outcome of an attempt.
func (b *breaker) report(ok bool) {
	if ok {
		if b.failures.Load() != 0 {
			b.failures.Store(0)
		}
		return
	}
	b.probeAt.Store(int64(uptime() + probeEvery))
	if b.failures.Add(1) > 1<<30 {
		b.failures.Store(breaksAfter)
	}
}

func (b *breaker) isClosed() bool { return b.failures.Load() < breaksAfter }

// allow reports whether to try where there is no other way: always while closed, otherwise one a
// second.
func (b *breaker) allow() bool {
	if b.isClosed() {
		return true
	}
	at, now := b.probeAt.Load(), uptime()
	return int64(now) >= at && b.probeAt.CompareAndSwap(at, int64(now+probeEvery))
}

func (b *breaker) state() string {
	switch {
	case b.isClosed():
		return "closed"
	case int64(uptime()) >= b.probeAt.Load():
		return "half-open"
	}
	return "open"
}
