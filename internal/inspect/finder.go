package inspect

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// finder reads the stream for a search, part by part, the newest part first.
type finder struct {
	server *Server
	query  query
	made   time.Time // when the stream was created

	count, bytes int    // of what was found so far
	full         bool   // there is no room for more
	end          uint64 // the sequence number before which the part ends
	found
}

// found is what a search sends after each part.
type found struct {
	Events []shown   `json:"events"` // of the part, oldest first
	Read   int       `json:"read"`   // messages so far
	Share  float64   `json:"share"`  // of the sequence numbers that are searched, 0 to 1
	Before uint64    `json:"before"` // the least sequence number that is searched
	Time   time.Time `json:"time"`   // when the oldest message that was read was stored
}

const (
	patience    = 10 * time.Second // without progress
	firstPart   = 1000             // sequence numbers
	largestPart = 100_000
	quickPart   = 500 * time.Millisecond // after a quicker one, the next part is larger
)

var errPartRead = errors.New("the part is read")

// find searches part by part, and reports whether nothing is left.
func (f *finder) find(ctx context.Context, r *http.Request, out *feedWriter) (whole bool, err error) {
	events, err := f.server.open(ctx, f.server.config.Stream)
	if err != nil {
		return false, err
	}
	info := events.CachedInfo()
	f.made = info.Created
	end, low, size := endOf(r, info), info.State.FirstSeq, uint64(firstPart)
	for f.Before = end; f.Before > low && !f.full && f.Read < maxRead && out.err == nil; {
		began := time.Now()
		if err := f.readPart(ctx, max(low, f.Before-min(f.Before, size))); err != nil {
			return false, err
		}
		f.Share = float64(end-f.Before) / float64(end-low)
		out.event("found", "", f.found)
		if time.Since(began) < quickPart {
			size = min(2*size, largestPart)
		}
	}
	return f.Before <= low, nil
}

// readPart finds the matching messages from a sequence number to before what is searched already.
// If there is no room for all, it finds the newest.
func (f *finder) readPart(ctx context.Context, from uint64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.end, f.Before, f.Events = f.Before, from, []shown{}
	config := f.server.config
	r := stream.Reader{
		Conn: config.Conn, JetStream: config.JetStream, Names: stream.LookupNames, Patience: patience,
		Section: stream.Section{Stream: config.Stream, Subjects: []string{config.Prefix + ".>"}, First: from, Stop: true},
		Handle:  f.take,
		Report: func(err error) {
			if errors.Is(err, stream.ErrMadeAnew) {
				cancel(err)
			}
		},
	}
	err := r.Run(ctx)
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	if err != nil && !errors.Is(err, errPartRead) {
		return err
	}
	f.full = f.full || f.count >= maxFound || f.bytes >= maxFoundBytes
	return nil
}

// take takes the next message of the part.
func (f *finder) take(m stream.Message) error {
	switch {
	case !m.Made.Equal(f.made):
		return stream.ErrMadeAnew
	case m.Sequence >= f.end:
		return errPartRead
	}
	for n := len(f.Events); n > 0 && f.Events[n-1].Sequence >= m.Sequence; n-- { // it is read again
		f.remove(n - 1)
	}
	f.Read++
	if f.Time.IsZero() || m.Stored.Before(f.Time) {
		f.Time = m.Stored
	}
	v := shownOf(m)
	if !f.query.matches(v) {
		return nil
	}
	f.Events = append(f.Events, v)
	f.count++
	f.bytes += v.Size
	for len(f.Events) > 1 && (f.count > maxFound || f.bytes > maxFoundBytes) {
		f.remove(0)
		f.Before, f.full = f.Events[0].Sequence, true
	}
	return nil
}

// remove removes one of the part's events.
func (f *finder) remove(i int) {
	f.count--
	f.bytes -= f.Events[i].Size
	f.Events = slices.Delete(f.Events, i, i+1)
}
