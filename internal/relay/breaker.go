package relay

import (
	"sync"
	"time"
)

// breaker opens after a few failures in a row. While it is open nothing is published directly, so that no
// sender waits for an acknowledgement that is unlikely to come. It closes with the first success in time,
// usually the forwarder's, or after the spool was empty for a minute.
type breaker struct {
	mu       sync.Mutex
	failures int
	probeAt  time.Time // when the open breaker becomes half-open, and lets a message try
}

const (
	breaksAfter = 3
	probeEvery  = time.Second
)

// report notes the outcome of an attempt.
func (b *breaker) report(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.failures = 0
		return
	}
	b.failures++
	b.probeAt = time.Now().Add(probeEvery)
}

func (b *breaker) isClosed() bool { return b.state() == "closed" }

// allow reports whether a message that the spool refuses may try JetStream: always while the breaker is
// closed, otherwise one message a second.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.failures >= breaksAfter && now.Before(b.probeAt) {
		return false
	}
	b.probeAt = now.Add(probeEvery)
	return true
}

func (b *breaker) state() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < breaksAfter:
		return "closed"
	case time.Now().Before(b.probeAt):
		return "open"
	}
	return "half-open"
}
