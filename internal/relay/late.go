package relay

import (
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// lateAcks holds the messages that JetStream has acknowledged after the attempt was given up. Their records in
// the spool needn't be sent again. Losing one costs a publish that the stream recognises as a duplicate.
type lateAcks struct {
	mu    sync.Mutex
	acked map[lateAck]time.Time // when
}

type lateAck struct {
	kind durable.Kind
	id   string
}

const (
	maxLateAcks = 1 << 16
	lateAckLife = 10 * time.Minute
)

func (l *lateAcks) add(kind durable.Kind, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.acked == nil || len(l.acked) >= maxLateAcks {
		kept := make(map[lateAck]time.Time)
		for ack, at := range l.acked {
			if now.Sub(at) < lateAckLife && len(kept) < maxLateAcks/2 {
				kept[ack] = at
			}
		}
		l.acked = kept
	}
	l.acked[lateAck{kind, id}] = now
}

// take reports whether the record's message was acknowledged late, after the record had arrived: an earlier
// acknowledgement is another delivery's, perhaps of a stream that is gone.
func (l *lateAcks) take(r *spool.Record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.acked[lateAck{r.Kind, r.ID}]
	delete(l.acked, lateAck{r.Kind, r.ID})
	return ok && at.After(r.Arrived)
}
