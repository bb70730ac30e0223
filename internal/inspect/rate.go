package inspect

import (
	"sync"
	"time"
)

// rate counts the events of the last seconds, by when they were stored.
type rate struct {
	mu     sync.Mutex
	counts [rateSeconds]int
	newest int64 // the second, in Unix time, of the count at newest % rateSeconds
}

const rateSeconds = 120

func (r *rate) count(stored, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	second := min(stored.Unix(), r.newest) // the server's clock may be ahead of ours
	if r.newest-second < rateSeconds {
		r.counts[second%rateSeconds]++
	}
}

// advance clears the counts of the seconds up to this one.
func (r *rate) advance(second int64) {
	for r.newest = max(r.newest, second-rateSeconds); r.newest < second; {
		r.newest++
		r.counts[r.newest%rateSeconds] = 0
	}
}

// last returns the counts of the last seconds, oldest first, and the newest second, which is not
// over yet.
func (r *rate) last(now time.Time) (counts []int, newest int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	for i := range int64(rateSeconds) {
		counts = append(counts, r.counts[(r.newest+1+i)%rateSeconds])
	}
	return counts, r.newest
}
