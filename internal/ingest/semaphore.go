package ingest

import (
	"runtime"
	"time"
)

const (
	// smallBytes is a body that is judged at once, however many others are. The dearest of that length takes 3 ms of a
	// core: less than the scheduler's time slice, so hardly more of them than there are cores are in it at a time.
	smallBytes = 32 << 10
	// workFactor is how many times its length judging the dearest body holds for the moment: a copy in one piece, and
	// lists of its members.
	workFactor = 12
	// slotTimeout is how long a large body waits for its turn.
	slotTimeout = 250 * time.Millisecond
)

// semaphore bounds how many large bodies are judged at a time. More of them than cores would end no sooner, hold more
// memory, and keep small ones waiting for the cores.
type semaphore chan struct{}

// newSemaphore returns one of a slot a core, but no more than all together hold another quarter of maxInFlight, or one.
func newSemaphore(maxInFlight, maxBody int64) semaphore {
	slots := maxInFlight / 4 / max(1, workFactor*maxBody)
	return make(semaphore, max(1, min(int64(runtime.GOMAXPROCS(0)), slots)))
}

// enter waits for a slot, and reports whether there was one in time.
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
