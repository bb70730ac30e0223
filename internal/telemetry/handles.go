package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Handles caches the metrics of one family by their labels: a look-up in the family takes longer
// than counting. K has the label values, which must come from closed sets.
type Handles[K comparable, M any] struct {
	find  func(K) M
	known atomic.Pointer[map[K]M]
	mu    sync.Mutex // held to add one
}

// NewHandles returns an empty cache. Find looks a metric up in its family.
func NewHandles[K comparable, M any](find func(K) M) *Handles[K, M] {
	h := &Handles[K, M]{find: find}
	h.known.Store(new(map[K]M))
	return h
}

// Of returns the metric with those labels.
func (h *Handles[K, M]) Of(labels K) M {
	if m, ok := (*h.known.Load())[labels]; ok {
		return m
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	known := *h.known.Load()
	m, ok := known[labels]
	if !ok {
		m = h.find(labels)
		more := make(map[K]M, len(known)+1)
		maps.Copy(more, known)
		more[labels] = m
		h.known.Store(&more)
	}
	return m
}
