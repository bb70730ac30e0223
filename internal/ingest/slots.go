package ingest

import (
	"runtime"
	"time"
)

const (
	// smallBytes is the largest body that is verified without a slot. The most expensive one takes
	// 3 ms of a core, less than the scheduler's time slice, so hardly more of them than cores are in
	// progress at a time.
	smallBytes = 32 << 10
	// workFactor is the memory for verifying the most expensive body, in multiples of its length: a
	// copy, and lists of its members.
	workFactor = 12
	// slotTimeout is how long a large body waits for a slot.
	slotTimeout = 250 * time.Millisecond
)

// slots returns how many large bodies are verified at a time: one for each core. More would finish no
// sooner, take more memory and delay small ones. Together they use at most a quarter of maxInFlight,
// unless a single one needs more.
func slots(maxInFlight, maxBody int64) int64 {
	fit := maxInFlight / 4 / max(1, workFactor*maxBody)
	return max(1, min(int64(runtime.GOMAXPROCS(0)), fit))
}
