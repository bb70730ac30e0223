package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
)

// quarantineStore is the quarantine as a command uses it.
type quarantineStore struct {
	quarantine.Store
	cfg   *config.Config
	js    jetstream.JetStream
	err   io.Writer
	close func()
}

// openQuarantine connects to the NATS that the environment names. uses reports whether a variable matters.
func openQuarantine(ctx context.Context, environ []string, uses func(variable string) bool, words io.Writer) (*quarantineStore, error) {
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
	store := quarantine.Store{JetStream: js, Stream: found, Consumer: "bridge-quarantine-"}
	return &quarantineStore{Store: store, cfg: cfg, js: js, err: words, close: nc.Close}, nil
}

// interrupted returns the error, or another in its place where it failed because of Ctrl-C.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func (s *quarantineStore) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.err, "bridge: "+format+"\n", args...)
}

// matching returns what is in quarantine now and passes the filter, oldest first.
func (s *quarantineStore) matching(ctx context.Context, f filter) ([]quarantine.Kept, error) {
	name := s.Stream.CachedInfo().Config.Name
	all, foreign, err := s.List(ctx, 0)
	if err != nil {
		return nil, interrupted(ctx, fmt.Errorf("reading stream %s: %w; our account needs the rights of `bridge tail`, for this stream", name, err))
	}
	if foreign > 0 {
		s.say("%d messages in stream %s were not written by a bridge and are passed over", foreign, name)
	}
	all = slices.DeleteFunc(all, func(k quarantine.Kept) bool { return !f.matches(k.Delivery) })
	// What waited in a spool came into the stream later than it was received.
	slices.SortStableFunc(all, func(a, b quarantine.Kept) int { return a.Received.Compare(b.Received) })
	return all, nil
}

// chosen returns the messages whose ids begin so, or all that pass the filter where there are no ids.
// Each beginning must be that of one id. Several deliveries of one event may be there.
func (s *quarantineStore) chosen(ctx context.Context, ids []string, f filter) ([]quarantine.Kept, error) {
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
	return slices.DeleteFunc(all, func(k quarantine.Kept) bool { return !wanted[k.ID] }), nil
}

// whole returns the one id that begins so.
func whole(all []quarantine.Kept, beginning string) (string, error) {
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
