package relay

import (
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// lateAcks holds the messages that JetStream has acknowledged after their time-out. Their records in
// the spool needn't be sent again. If one is forgotten, the stream recognises the duplicate.
type lateAcks struct {
	mu    sync.Mutex
	acked map[lateAck]time.Time // when the stream was created
}

// lateAck identifies a delivery of an event. Other deliveries of it arrived at other times, by the
// same clock, which need not be correct.
type lateAck struct {
	kind    publish.Kind
	id      string
	arrived int64 // Unix nanoseconds, as in the spool
}

const maxLateAcks = 1 << 16

func (l *lateAcks) add(a publish.LateAck) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked == nil || len(l.acked) >= maxLateAcks {
		l.acked = make(map[lateAck]time.Time)
	}
	l.acked[lateAck{a.Kind, a.ID, a.Arrived.UnixNano()}] = a.Made
}

// take reports whether the record's own message was acknowledged late, and returns when the stream
// to which it was sent was created.
func (l *lateAcks) take(r *spool.Record) (made time.Time, ok bool) {
	key := lateAck{r.Kind, r.ID, r.Arrived.UnixNano()}
	l.mu.Lock()
	defer l.mu.Unlock()
	made, ok = l.acked[key]
	delete(l.acked, key)
	return made, ok
}
