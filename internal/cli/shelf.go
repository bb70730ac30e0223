package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// shelf is the quarantine as a NATS client sees it.
type shelf struct {
	cfg    *config.Config
	js     jetstream.JetStream
	stream jetstream.Stream
	err    io.Writer
	close  func()
}

// kept is a message of the quarantine, without its body and signature.
type kept struct {
	quarantine.Delivery
	sequence uint64
	size     int64 // of its body
}

// quarantinePatience is how long the stream is tried: without the rights to read it, it never answers.
const quarantinePatience = 10 * time.Second

// openShelf connects to the NATS that the environment names. uses says which variables matter.
func openShelf(ctx context.Context, environ []string, uses func(variable string) bool, words io.Writer) (*shelf, error) {
	cfg, err := load(environ, uses)
	if err != nil {
		return nil, err
	}
	nc, js, err := connect(cfg, words)
	if err != nil {
		return nil, err
	}
	found, err := streamNamed(ctx, js, quarantine.Stream(string(cfg.StreamName)), "a bridge with QUARANTINE=true makes it when it connects, see STREAM_NAME")
	if err != nil {
		nc.Close()
		return nil, interrupted(ctx, err)
	}
	return &shelf{cfg: cfg, js: js, stream: found, err: words, close: nc.Close}, nil
}

// interrupted says so where that is why something failed.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func (s *shelf) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.err, "bridge: "+format+"\n", args...)
}

// matching returns what is in quarantine now and passes the filter, oldest first.
func (s *shelf) matching(ctx context.Context, f filter) (all []kept, err error) {
	name, foreign := s.stream.CachedInfo().Config.Name, 0
	reader := stream.Reader{
		Conn: s.js.Conn(), JetStream: s.js, Name: "bridge-quarantine-", Patience: quarantinePatience,
		Section: stream.Section{Stream: name, Since: stream.Beginning, Headers: true, Stop: true},
		Handle: func(m stream.Message) error {
			k, err := readKept(m)
			switch {
			case err != nil:
				foreign++
			case f.matches(k.Delivery):
				all = append(all, k)
			}
			return nil
		},
	}
	if err = reader.Run(ctx); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, interrupted(ctx, fmt.Errorf("reading stream %s: %w; our account needs the rights of `bridge tail`, for this stream", name, err))
	}
	if foreign > 0 {
		s.say("%d messages in stream %s were not written by a bridge and are passed over", foreign, name)
	}
	// What waited in a spool came into the stream later than it was received.
	slices.SortStableFunc(all, func(a, b kept) int { return a.Received.Compare(b.Received) })
	return all, nil
}

// readKept reads a message of which there are only the headers.
func readKept(m stream.Message) (k kept, err error) {
	header := m.Headers()
	if k.Delivery, err = quarantine.Parse(header.Get, nil); err != nil {
		return kept{}, err
	}
	if k.ID == "" {
		return kept{}, errors.New("it has no id")
	}
	k.sequence = m.Sequence
	k.size, err = strconv.ParseInt(header.Get(nats.MsgSize), 10, 64)
	return k, err
}

// chosen returns the messages whose ids begin so, or all that pass the filter where there are no ids.
// Each beginning must be that of one id. Several deliveries of one event may be there.
func (s *shelf) chosen(ctx context.Context, ids []string, f filter) ([]kept, error) {
	all, err := s.matching(ctx, f)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		if len(all) == 0 {
			s.say("there is nothing%s in quarantine", f.words())
		}
		return all, nil
	}
	wanted := make(map[string]bool)
	for _, beginning := range ids {
		id, err := whole(all, beginning)
		if err != nil {
			return nil, err
		}
		wanted[id] = true
	}
	return slices.DeleteFunc(all, func(k kept) bool { return !wanted[k.ID] }), nil
}

// whole returns the one id that begins so.
func whole(all []kept, beginning string) (string, error) {
	var ids []string
	for _, k := range all {
		if k.ID == beginning {
			return k.ID, nil
		}
		if strings.HasPrefix(k.ID, beginning) {
			ids = append(ids, k.ID)
		}
	}
	slices.Sort(ids)
	switch ids = slices.Compact(ids); len(ids) {
	case 0:
		return "", fmt.Errorf("nothing in quarantine has an id that begins with %q; see `bridge quarantine list`", beginning)
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d ids in quarantine begin with %q, among them %s and %s; give more of it", len(ids), beginning, ids[0], ids[1])
}

// errGone: a message was there a moment ago.
var errGone = errors.New("it is gone: somebody else has released or dropped it, or newer ones needed the room")

// delivery returns the whole message.
func (s *shelf) delivery(ctx context.Context, k kept) (quarantine.Delivery, error) {
	m, err := s.stream.GetMsg(ctx, k.sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return quarantine.Delivery{}, errGone
	case err != nil:
		return quarantine.Delivery{}, interrupted(ctx, fmt.Errorf("reading message %d: %w", k.sequence, err))
	}
	return quarantine.Parse(m.Header.Get, m.Data)
}

// remove removes a message. What is begun is ended, also after Ctrl-C.
func (s *shelf) remove(ctx context.Context, k kept) error {
	ctx = context.WithoutCancel(ctx)
	err := s.stream.SecureDeleteMsg(ctx, k.sequence) // overwritten on disk: it is people's data
	if err != nil {
		if _, gone := s.stream.GetMsg(ctx, k.sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return err
}
