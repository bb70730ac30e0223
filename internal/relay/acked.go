package relay

import (
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// acked holds the messages that JetStream has acknowledged though their records are still in the
// spool: the acknowledgement came late, or a record before it has failed. They needn't be sent
// again. If one is forgotten and sent again, the stream recognises the duplicate.
type acked struct {
	mu            sync.Mutex
	streamCreated map[delivery]time.Time
}

// delivery identifies a delivery of an event. Other deliveries of it have other times of arrival, by
// the same clock, which needn't be correct.
type delivery struct {
	kind    publish.Kind
	id      string
	arrived int64 // Unix nanoseconds, as in the spool
}

func deliveryOf(r spool.Record) delivery { return delivery{r.Kind, r.ID, r.Arrived.UnixNano()} }

const maxAcked = 1 << 16

func (a *acked) add(d delivery, streamCreated time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.streamCreated == nil || len(a.streamCreated) >= maxAcked {
		a.streamCreated = make(map[delivery]time.Time)
	}
	a.streamCreated[d] = streamCreated
}

// of returns those of the records that are acknowledged, by number, with the time at which the
// acknowledging stream was created.
func (a *acked) of(records []spool.Record) map[uint64]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	created := make(map[uint64]time.Time)
	for _, r := range records {
		if at, ok := a.streamCreated[deliveryOf(r)]; ok {
			created[r.Seq] = at
		}
	}
	return created
}

// forget drops records that have left the spool.
func (a *acked) forget(records []spool.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		delete(a.streamCreated, deliveryOf(r))
	}
}
