package inspect

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lags has how far each consumer was behind lately, oldest first. It tells whether that grows.
type lags map[lagKey][]lag

type lagKey struct {
	name string
	made time.Time
}

type lag struct {
	at       time.Time
	messages uint64
}

const (
	lagWindow = 30 * time.Second
	lagLeast  = 5 * time.Second // a shorter time says too little
)

// lagOf returns how many messages a consumer has yet to handle.
func lagOf(info *jetstream.ConsumerInfo) uint64 {
	return info.NumPending + uint64(max(info.NumAckPending, 0))
}

// add adds what NATS has just reported, and forgets consumers that are gone.
func (l lags) add(now time.Time, consumers []*jetstream.ConsumerInfo) lags {
	next := make(lags, len(consumers))
	for _, info := range consumers {
		key := lagKey{info.Name, info.Created}
		all := append(l[key], lag{now, lagOf(info)})
		for len(all) > 1 && now.Sub(all[0].at) > lagWindow {
			all = all[1:]
		}
		next[key] = all
	}
	return next
}

// growth returns by how many messages a second the consumer falls behind, or 0 if it doesn't.
func (l lags) growth(info *jetstream.ConsumerInfo) float64 {
	all := l[lagKey{info.Name, info.Created}]
	if len(all) == 0 {
		return 0
	}
	first, last := all[0], all[len(all)-1]
	span := last.at.Sub(first.at)
	if span < lagLeast || last.messages <= first.messages {
		return 0
	}
	return float64(last.messages-first.messages) / span.Seconds()
}
