package inspect

import (
	"context"
	"errors"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// finder reads the stream for a search, part by part.
type finder struct {
	server *Server
	query  query
	made   time.Time // when the stream was created

	read         int // messages so far
	count, bytes int // of what was found so far
	oldest       time.Time
	full         bool // there is no room for more

	part
}

// part is what was found from one sequence number to before another.
type part struct {
	from, end uint64
	events    []shown // oldest first
	size      int     // of the events, in bytes
}

const finderPatience = 10 * time.Second

var (
	errPartRead = errors.New("the part is read")
	errMadeAnew = problem("The stream was deleted and made anew meanwhile. Search again.")
	errSlow     = problem("NATS sent too little within a minute. Search on, or use `bridge tail --since`.")
)

// search returns the matching messages from one sequence number to before another. If there is no
// room for all, it returns the newest, and from is the least sequence number that is searched.
func (f *finder) search(ctx context.Context, from, end uint64) (part, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(partTimeout, func() { cancel(errSlow) })
	defer late.Stop()
	f.part = part{from: from, end: end, events: []shown{}}
	config := f.server.config
	r := stream.Reader{
		Conn: config.Conn, JetStream: config.JetStream, Names: stream.LookupNames, Patience: finderPatience,
		Section: stream.Section{Stream: config.Stream, Subjects: []string{config.Prefix + ".>"}, First: from, Stop: true},
		Handle:  f.take,
		Report: func(err error) {
			if errors.Is(err, stream.ErrMadeAnew) {
				cancel(errMadeAnew)
			}
		},
	}
	err := r.Run(ctx)
	if ended := context.Cause(ctx); ended != nil {
		return part{}, ended
	}
	if err != nil && !errors.Is(err, errPartRead) {
		return part{}, err
	}
	f.count += len(f.events)
	f.bytes += f.size
	f.full = f.full || f.count >= maxFound || f.bytes >= maxFoundBytes
	return f.part, nil
}

// take takes the next message of the part.
func (f *finder) take(m stream.Message) error {
	switch {
	case !m.Made.Equal(f.made):
		return errMadeAnew
	case m.Sequence >= f.end:
		return errPartRead
	}
	for n := len(f.events); n > 0 && f.events[n-1].Sequence >= m.Sequence; n-- { // it is read again
		f.size -= f.events[n-1].Size
		f.events = f.events[:n-1]
	}
	f.read++
	if f.oldest.IsZero() || m.Stored.Before(f.oldest) {
		f.oldest = m.Stored
	}
	if !f.query.matches(m) {
		return nil
	}
	f.events = append(f.events, shownOf(m))
	f.size += len(m.Data())
	for len(f.events) > 1 && (f.count+len(f.events) > maxFound || f.bytes+f.size > maxFoundBytes) {
		f.size -= f.events[0].Size
		f.events = f.events[1:]
		f.from, f.full = f.events[0].Sequence, true
	}
	return nil
}
