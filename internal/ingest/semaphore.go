package ingest

import (
	"runtime"
	"time"
)

const (
	// smallBytes is the largest body that is judged without a slot. The most expensive one takes 3
	// ms of a core, less than the scheduler's time slice, so hardly more of them than cores are in
	// progress at a time.
	smallBytes = 32 << 10
	// workFactor is the memory for judging the most expensive body, in multiples of its length: a
	// copy, and lists of its members.
	workFactor = 12
	// slotTimeout is how long a large body waits for a slot.
	slotTimeout = 250 * time.Millisecond
)

// semaphore bounds how many large bodies are judged at a time. More of them than cores would finish
// no sooner, take more memory and delay small ones.
type semaphore chan struct{}

// newSemaphore returns a semaphore with a slot for each core. Together they use at most a quarter
// of maxInFlight, unless one alone needs more.
func newSemaphore(maxInFlight, maxBody int64) semaphore {
	slots := maxInFlight / 4 / max(1, workFactor*maxBody)
	return make(semaphore, max(1, min(int64(runtime.GOMAXPROCS(0)), slots)))
}

// enter waits for a slot and reports whether it got one in time.
func (s semaphore) enter() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(slotTimeout)
	defer timer.Stop()
	select {
	case s <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (s semaphore) leave() { <-s }
