package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stream is the stream as the configuration wants it.
type Stream struct {
	Name       string
	Prefix     string   // of the subjects
	Endpoints  []string // whose subjects it must take
	Manage     bool     // make it when it is missing, and apply what is explicitly set
	Replicas   int
	MaxAge     time.Duration // 0: no limit
	MaxBytes   int64         // 0: no limit
	Duplicates time.Duration
	Explicit   struct{ Replicas, MaxAge, MaxBytes, Duplicates bool } // which of these are set, not defaults
}

// config is the stream as it is made when it is missing.
func (s Stream) config() jetstream.StreamConfig {
	maxBytes := s.MaxBytes
	if maxBytes == 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name:        s.Name,
		Description: "Webhooks as CloudEvents, published by webhook-bridge",
		Subjects:    []string{s.Prefix + ".>"},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew, // full means that new events wait, never that old ones vanish
		Replicas:    s.Replicas,
		MaxAge:      s.MaxAge,
		MaxBytes:    maxBytes,
		Duplicates:  s.Duplicates,
		AllowDirect: true,
	}
}

// ensure makes sure that the stream can take our events and returns its configuration, along with
// what differs from the one wanted and was left so, in words.
func (s Stream) ensure(ctx context.Context, js jetstream.JetStream) (jetstream.StreamConfig, []string, error) {
	stream, err := js.Stream(ctx, s.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !s.Manage {
			return jetstream.StreamConfig{}, nil, fmt.Errorf("stream %s does not exist, and STREAM_MANAGE=false: make it, with the subjects %s.>", s.Name, s.Prefix)
		}
		stream, err = js.CreateStream(ctx, s.config())
	}
	if err != nil {
		return jetstream.StreamConfig{}, nil, fmt.Errorf("stream %s: %w", s.Name, err)
	}
	have := stream.CachedInfo().Config
	changed, differences := s.reconcile(&have)
	if changed && s.Manage {
		if stream, err = js.UpdateStream(ctx, have); err != nil {
			return jetstream.StreamConfig{}, nil, fmt.Errorf("stream %s: applying the configuration: %w", s.Name, err)
		}
		have = stream.CachedInfo().Config
	}
	return have, differences, s.usable(have)
}

// reconcile applies to a stream's configuration what is explicitly set and makes nothing smaller.
// All else that differs is returned in words.
func (s Stream) reconcile(have *jetstream.StreamConfig) (changed bool, differences []string) {
	differs := func(what string, has, wanted any) {
		differences = append(differences, fmt.Sprintf("%s is %v, not %v", what, has, wanted))
	}
	if s.Replicas != have.Replicas {
		if s.Manage && s.Explicit.Replicas && s.Replicas > have.Replicas {
			have.Replicas, changed = s.Replicas, true
		} else {
			differs("STREAM_REPLICAS", have.Replicas, s.Replicas)
		}
	}
	if s.MaxAge != have.MaxAge {
		if s.Manage && s.Explicit.MaxAge && grows(int64(have.MaxAge), int64(s.MaxAge)) {
			have.MaxAge, changed = s.MaxAge, true
		} else {
			differs("STREAM_MAX_AGE", have.MaxAge, s.MaxAge)
		}
	}
	if hasBytes := max(have.MaxBytes, 0); s.MaxBytes != hasBytes {
		if s.Manage && s.Explicit.MaxBytes && grows(hasBytes, s.MaxBytes) {
			have.MaxBytes, changed = s.config().MaxBytes, true
		} else {
			differs("STREAM_MAX_BYTES", bytesInWords(hasBytes), bytesInWords(s.MaxBytes))
		}
	}
	if s.Duplicates != have.Duplicates {
		if s.Manage && s.Explicit.Duplicates && s.Duplicates > have.Duplicates {
			have.Duplicates, changed = s.Duplicates, true
		} else {
			differs("STREAM_DUPLICATES", have.Duplicates, s.Duplicates)
		}
	}
	if have.Storage != jetstream.FileStorage {
		differs("storage", have.Storage, jetstream.FileStorage)
	}
	if have.Retention != jetstream.LimitsPolicy {
		differs("retention", have.Retention, jetstream.LimitsPolicy)
	}
	if have.Discard != jetstream.DiscardNew {
		differs("discard policy", have.Discard, jetstream.DiscardNew)
	}
	return changed, differences
}

// grows says whether a limit becomes larger; 0 is no limit.
func grows(have, want int64) bool { return have != 0 && (want == 0 || want > have) }

func bytesInWords(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%d bytes", n)
}

// usable refuses a stream that would not take our events, or would not acknowledge them.
func (s Stream) usable(have jetstream.StreamConfig) error {
	for _, endpoint := range s.Endpoints {
		wanted := s.Prefix + "." + endpoint + ".>"
		if !slices.ContainsFunc(have.Subjects, func(subject string) bool { return covers(subject, wanted) }) {
			return fmt.Errorf("stream %s does not take %s, only %s: add %s.> to its subjects, or set another STREAM_NAME", s.Name, wanted, strings.Join(have.Subjects, ", "), s.Prefix)
		}
	}
	switch {
	case have.NoAck:
		return fmt.Errorf("stream %s acknowledges nothing (no_ack): nothing could be known to be stored", s.Name)
	case have.Sealed:
		return fmt.Errorf("stream %s is sealed: it takes nothing any more", s.Name)
	}
	return nil
}

// covers says whether every subject that matches inner matches outer too.
func covers(outer, inner string) bool {
	for {
		o, outerRest, outerMore := strings.Cut(outer, ".")
		i, innerRest, innerMore := strings.Cut(inner, ".")
		switch {
		case o == ">":
			return true
		case i == ">", o != "*" && o != i, outerMore != innerMore:
			return false
		case !outerMore:
			return true
		}
		outer, inner = outerRest, innerRest
	}
}
