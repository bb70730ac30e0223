package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// errEnough ends reading: there is nothing more to read, or no more is wanted.
var errEnough = errors.New("enough")

// skew is how far the server's clock may be behind ours.
const skew = time.Minute

// readSpan calls handle with each message of the section that was stored up to a time; zero is no
// limit. A time in the future is waited for. What was stored until then is read whole, even where
// reading lags behind. handle may end the reading with errEnough.
func readSpan(
	ctx context.Context, nc *nats.Conn, js jetstream.JetStream, s stream.Section, until time.Time,
	words io.Writer, handle func(stream.Message) error,
) error {
	err := func() error {
		if until.IsZero() {
			return followSection(ctx, nc, js, s, words, handle)
		}
		found, err := streamNamed(ctx, js, s.Stream, madeByBridge)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		info, start := found.CachedInfo(), time.Now()
		made, last := info.Created, uint64(0)
		if s.Since.IsZero() {
			last = info.State.LastSeq
		}
		limited := func(m stream.Message) error {
			switch {
			case m.Stored.After(until):
				return errEnough
			case m.Made.Equal(made) && m.Sequence <= last:
				return nil
			}
			made, last, s.Since = m.Made, m.Sequence, m.Stored
			return handle(m)
		}
		if time.Now().Before(until) {
			s.Stop = false
			follow, cancel := context.WithDeadline(ctx, until)
			err := followSection(follow, nc, js, s, words, limited)
			cancel()
			if err != nil || ctx.Err() != nil {
				return err
			}
		}
		// What came last may still be on its way: the leader knows how much there is.
		if s.Stop = true; s.Since.IsZero() {
			s.Since = start.Add(-skew) // last excludes what was there before
		}
		return followSection(ctx, nc, js, s, words, limited)
	}()
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// parseUntil reads --until; the zero time means no limit. A duration is one before now.
func parseUntil(text string, since, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	until, err := parseTime("--until", text, now)
	if err == nil && since.After(until) {
		err = usageError{fmt.Errorf("--until: got %q, which is before --since", text)}
	}
	return until, err
}
