package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LookupPrefix is the prefix of the names of consumers for look-ups.
const LookupPrefix = "bridge-lookup-"

// LookupNames are these names. The rights for look-ups cover only them, so that look-ups can't affect other
// consumers. No more look-ups than names can run at the same time.
var LookupNames = []string{LookupPrefix + "0", LookupPrefix + "1", LookupPrefix + "2", LookupPrefix + "3"}

// Found is the result of a look-up in one stream.
type Found struct {
	IDs     map[string]uint64 // with the sequence number of the first message
	Created time.Time         // when that stream was created
	Last    uint64            // its last sequence number when reading began
}

// IsOf reports whether the result is still valid: the stream is the same, and wasn't restored from
// an older copy.
func (f Found) IsOf(info *jetstream.StreamInfo) bool {
	return f.Created.Equal(info.Created) && f.Last <= info.State.LastSeq
}

// Find reads the ids of the messages that a stream has stored since a time (zero: of all), and returns those
// that are wanted. The time is by our clock; it is adjusted if the server's clock is behind.
func (r *Reader) Find(ctx context.Context, name string, since time.Time, wanted func(id string) bool) (Found, error) {
	if since.IsZero() {
		since = Beginning
	}
	found := Found{IDs: make(map[string]uint64)}
	r.Section, r.ahead = Section{Stream: name, Since: since, HeadersOnly: true, Stop: true}, true
	r.Handle = func(m Message) error {
		if id := m.Headers().Get(nats.MsgIdHdr); id != "" && found.IDs[id] == 0 && wanted(id) {
			found.IDs[id] = m.Sequence
		}
		return nil
	}
	r.Restart = func() { clear(found.IDs) }
	if err := r.Run(ctx); err != nil {
		return Found{}, fmt.Errorf("looking up in stream %s: %w", name, err)
	}
	found.Created, found.Last = r.created, r.until
	return found, nil
}
