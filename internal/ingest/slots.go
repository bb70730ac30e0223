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
	// slotTimeout is how long a large body waits for its turn. With what publishing takes, the sender still has its
	// answer within a second.
	slotTimeout = 250 * time.Millisecond
)

// slots bounds how many large bodies are judged at a time. More of them than cores would end no sooner, hold more
// memory, and keep small ones waiting for the cores.
type slots chan struct{}

// newSlots returns a slot a core, but no more than all together hold another quarter of maxInFlight, or one.
func newSlots(maxInFlight, maxBody int64) slots {
	most := maxInFlight / 4 / max(1, workFactor*maxBody)
	return make(slots, max(1, min(int64(runtime.GOMAXPROCS(0)), most)))
}

// enter waits for a slot, and says whether there was one in time.
func (s slots) enter() bool {
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

func (s slots) leave() { <-s }
