package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
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
	Precious   string                                                // with DropOldest: the reason, last token of the subjects, for which a durable.Refused message never makes others go
	DropOldest bool                                                  // when it is full, rather than refuse new ones: the quarantine's way
	Explicit   struct{ Replicas, MaxAge, MaxBytes, Duplicates bool } // which of these are set, not defaults
}

// Config returns the configuration with which the stream is created.
func (s Stream) Config() jetstream.StreamConfig {
	maxBytes := s.MaxBytes
	if maxBytes == 0 {
		maxBytes = -1
	}
	description := "Webhooks as CloudEvents, published by webhook-bridge"
	if s.DropOldest {
		description = "Signed webhooks that could not be published, kept by webhook-bridge; see `bridge quarantine`"
	}
	return jetstream.StreamConfig{
		Name:        s.Name,
		Description: description,
		Subjects:    []string{s.Prefix + ".>"},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     s.discard(),
		Replicas:    s.Replicas,
		MaxAge:      s.MaxAge,
		MaxBytes:    maxBytes,
		Duplicates:  s.Duplicates,
		AllowDirect: true,
	}
}

// discard returns what a full stream does. One of events makes new ones wait: old ones never vanish.
func (s Stream) discard() jetstream.DiscardPolicy {
	if s.DropOldest {
		return jetstream.DiscardOld
	}
	return jetstream.DiscardNew
}

// maxBytes is the variable that bounds the stream.
func (s Stream) maxBytes() string {
	if s.DropOldest {
		return "QUARANTINE_MAX_BYTES"
	}
	return "STREAM_MAX_BYTES"
}

// found is what a check has found.
type found struct {
	infos       []*jetstream.StreamInfo // as it was found, and as it was after it was changed
	made        bool                    // it was missing
	differences []string                // what differs from the stream that is wanted and was left so, in words
}

// ensure makes sure that the stream can take our events.
func (s Stream) ensure(ctx context.Context, js jetstream.JetStream) (found, error) {
	var f found
	stream, err := js.Stream(ctx, s.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && s.Manage {
		stream, err = js.CreateStream(ctx, s.Config())
		f.made = err == nil
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another instance was faster, with another configuration
			stream, err = js.Stream(ctx, s.Name)
		}
	}
	if err != nil {
		return found{}, s.explain(err)
	}
	f.infos = append(f.infos, stream.CachedInfo())
	wanted := f.config()
	changed, differences := s.reconcile(&wanted)
	f.differences = differences
	if changed {
		// A cluster may have no room for the replicas just now, or the account may not change streams. That is
		// no reason to refuse events, which the stream takes as it is.
		if stream, err = js.UpdateStream(ctx, wanted); err != nil {
			f.differences = append(f.differences, fmt.Sprintf("what is set could not be applied: %v", err))
		} else {
			f.infos = append(f.infos, stream.CachedInfo())
		}
	}
	return f, s.usable(f.config())
}

// config is the stream's configuration as it is now.
func (f found) config() jetstream.StreamConfig { return f.infos[len(f.infos)-1].Config }

// codeSubjectsOverlap: another stream has subjects of the one that is to be made.
const codeSubjectsOverlap = 10065

// explain adds to an error what to do about it.
func (s Stream) explain(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("stream %s does not exist, and STREAM_MANAGE=false: make it, with the subjects %s.>", s.Name, s.Prefix)
	case errors.As(err, &api) && api.ErrorCode == codeSubjectsOverlap:
		return fmt.Errorf("stream %s can't be made, because another stream takes subjects of %s.>: set STREAM_NAME to that one or SUBJECT_PREFIX to another, or remove them from it: %w", s.Name, s.Prefix, err)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("stream %s: there is no JetStream for us: enable it on the server and for our account, or set NATS_JS_DOMAIN: %w", s.Name, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("stream %s: JetStream does not answer: it has no leader, or our account may not ask for the stream, which the log then says: %w", s.Name, err)
	}
	return fmt.Errorf("stream %s: %w", s.Name, err)
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
			have.MaxBytes, changed = s.Config().MaxBytes, true
		} else {
			differs(s.maxBytes(), bytesInWords(hasBytes), bytesInWords(s.MaxBytes))
		}
	}
	switch {
	case s.Duplicates > have.Duplicates && s.Manage && s.Explicit.Duplicates:
		have.Duplicates, changed = s.Duplicates, true
	case s.Duplicates > have.Duplicates, s.Duplicates < have.Duplicates && s.Explicit.Duplicates:
		differs("STREAM_DUPLICATES", have.Duplicates, s.Duplicates)
	}
	return changed, append(differences, s.policies(have)...)
}

// policies returns in words what is never changed, and yet matters.
func (s Stream) policies(have *jetstream.StreamConfig) (differences []string) {
	differs := func(what string, has, wanted any) {
		differences = append(differences, fmt.Sprintf("%s is %v, not %v", what, has, wanted))
	}
	if have.Storage != jetstream.FileStorage {
		differs("storage", have.Storage, jetstream.FileStorage)
	}
	if have.Retention != jetstream.LimitsPolicy {
		differs("retention", have.Retention, jetstream.LimitsPolicy)
	}
	if have.MaxMsgs > 0 {
		differs("max_msgs", have.MaxMsgs, "no limit")
	}
	if have.MaxMsgsPerSubject > 0 {
		differs("max_msgs_per_subject", have.MaxMsgsPerSubject, "no limit")
	}
	if have.Discard != s.discard() {
		differs("discard policy", have.Discard, s.discard())
	}
	if t := have.SubjectTransform; t != nil {
		differs("subject_transform", fmt.Sprintf("%q to %q", t.Source, t.Destination), "none: consumers find no event by the subject on which it was published")
	}
	if len(have.Sources) > 0 {
		differs("sources", have.Sources[0].Name, "none: messages of other streams stand among ours")
	}
	if r := have.RePublish; r != nil {
		differs("republish", fmt.Sprintf("to %q", r.Destination), "none: whoever may subscribe there reads every message")
	}
	return differences
}

// grows reports whether a limit becomes larger; 0 is no limit.
func grows(have, want int64) bool { return have != 0 && (want == 0 || want > have) }

func bytesInWords(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%d bytes", n)
}

// usable refuses a stream that would not take our events, or whose acknowledgement would not mean that
// they are stored.
func (s Stream) usable(have jetstream.StreamConfig) error {
	switch {
	case have.Mirror != nil:
		return fmt.Errorf("stream %s is a mirror of %s and takes no messages itself: set STREAM_NAME to %[2]s, or to another name", s.Name, have.Mirror.Name)
	case have.NoAck:
		return fmt.Errorf("stream %s acknowledges nothing (no_ack), so that nothing could be known to be stored: set no_ack to false", s.Name)
	case have.PersistMode == jetstream.AsyncPersistMode:
		return fmt.Errorf("stream %s acknowledges before it writes (persist_mode async), so that a server that dies loses acknowledged events: it can't be changed, so remove the stream and make it anew with persist_mode default, or set STREAM_NAME to another one", s.Name)
	case have.AllowMsgCounter:
		return fmt.Errorf("stream %s takes counters alone (allow_msg_counter): set STREAM_NAME to another stream", s.Name)
	case have.Retention == jetstream.InterestPolicy:
		return fmt.Errorf("stream %s keeps a message only while a consumer wants it (interest retention), so that without one an event would be acknowledged and gone: use limits", s.Name)
	case have.Sealed:
		return fmt.Errorf("stream %s is sealed and takes nothing any more: set STREAM_NAME to another stream", s.Name)
	}
	for _, endpoint := range s.Endpoints {
		wanted := s.Prefix + "." + endpoint + ".>"
		if !slices.ContainsFunc(have.Subjects, func(subject string) bool { return covers(subject, wanted) }) {
			return fmt.Errorf("stream %s does not take %s, only %s: add %s.> to its subjects, or set another STREAM_NAME", s.Name, wanted, strings.Join(have.Subjects, ", "), s.Prefix)
		}
	}
	return nil
}

// covers reports whether every subject that matches inner matches outer too.
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
