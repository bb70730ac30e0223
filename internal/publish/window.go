package publish

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// window is how far back a stream recognises the ids of messages that it has stored.
//
// Raising a stream's window doesn't restore the ids that it has forgotten. nats-server drops ids by
// the current window (server/stream.go, purgeMsgIds) and reloads them from its messages only when
// it starts (rebuildDedupe), which clients can't see. So the effective window is the smaller of
// two: the configured one, and the effective one at the last check plus the time since.
type window struct {
	created    time.Time // tells the stream from an earlier one of the same name
	configured time.Duration
	effective  time.Duration // at this time:
	at         time.Time
}

func (w window) now() time.Duration { return min(w.configured, w.effective+time.Since(w.at)) }

// next returns the window after another look at the stream. The first look at all believes it.
func (w window) next(info *jetstream.StreamInfo) window {
	is := window{created: info.Created, configured: info.Config.Duplicates, at: time.Now()}
	switch {
	case w.created.Equal(is.created):
		is.effective = min(w.now(), is.configured)
	case w.created.IsZero(), info.State.LastSeq == 0:
		is.effective = is.configured
	}
	return is
}
