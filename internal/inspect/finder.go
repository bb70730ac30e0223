package inspect

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// finder reads parts of the stream for a search.
type finder struct {
	server *Server
	query  query
	made   time.Time // when the stream was created

	read         int // messages so far
	count, bytes int // of what was found so far
	oldest       time.Time
	full         bool // there is no room for more
}

const finderPatience = 10 * time.Second

var (
	errPartRead = errors.New("the part is read")
	errMadeAnew = problem("The stream was deleted and made anew meanwhile. Search again.")
	errSlow     = problem("NATS sent too little within a minute. Search on, or use `bridge tail --since`.")
)

// part returns the matching messages from one sequence number to before another, oldest first. If there is
// no room for all, it returns the newest. from is the least sequence number that is searched then.
func (f *finder) part(ctx context.Context, low, high uint64) (events []shown, from uint64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(partTimeout, func() { cancel(errSlow) })
	defer late.Stop()
	from = low
	size := 0
	r := stream.Reader{
		Conn: f.server.config.Conn, JetStream: f.server.config.JetStream,
		Names: stream.LookupNames, Patience: finderPatience,
		Section: stream.Section{Stream: f.server.config.Stream, Subjects: []string{f.server.config.Prefix + ".>"}, First: low, Stop: true},
		Handle: func(m stream.Message) error {
			switch {
			case !m.Made.Equal(f.made):
				return errMadeAnew
			case m.Sequence >= high:
				return errPartRead
			}
			for n := len(events); n > 0 && events[n-1].Sequence >= m.Sequence; n-- { // it is read again
				size -= events[n-1].Size
				events = events[:n-1]
			}
			f.read++
			if f.oldest.IsZero() || m.Stored.Before(f.oldest) {
				f.oldest = m.Stored
			}
			if !f.query.matches(m) {
				return nil
			}
			events = append(events, wholeOf(m))
			size += len(m.Data())
			for len(events) > 1 && (f.count+len(events) > maxFound || f.bytes+size > maxFoundBytes) {
				size -= events[0].Size
				events = events[1:]
				from, f.full = events[0].Sequence, true
			}
			return nil
		},
		Report: func(err error) {
			if errors.Is(err, stream.ErrMadeAnew) {
				cancel(errMadeAnew)
			}
		},
	}
	err = r.Run(ctx)
	if ended := context.Cause(ctx); ended != nil {
		return nil, from, ended
	}
	if err != nil && !errors.Is(err, errPartRead) {
		return nil, from, err
	}
	f.count += len(events)
	f.bytes += size
	f.full = f.full || f.count >= maxFound || f.bytes >= maxFoundBytes
	return events, from, nil
}

// wholeOf returns a message as the page gets it, with its payload. Bytes that are not UTF-8 are replaced.
func wholeOf(m stream.Message) shown {
	v := shownOf(m)
	payload := strings.ToValidUTF8(string(m.Data()), "\uFFFD")
	v.Payload = &payload
	return v
}
