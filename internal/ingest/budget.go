package ingest

import "sync/atomic"

// budget bounds the bytes that all requests hold together.
type budget struct {
	limit int64
	used  atomic.Int64
}

// hold is one request's part of the budget.
type hold struct {
	budget *budget
	bytes  int64
}

// take charges n bytes, and says whether they fit.
func (h *hold) take(n int) bool {
	if h.budget.used.Add(int64(n)) > h.budget.limit {
		h.budget.used.Add(-int64(n))
		return false
	}
	h.bytes += int64(n)
	return true
}

// release gives everything back.
func (h *hold) release() {
	h.budget.used.Add(-h.bytes)
	h.bytes = 0
}
