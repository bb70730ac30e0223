package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// Stream describes a stream as the configuration wants it.
type Stream struct {
	Name       string
	Prefix     string   // of the subjects
	Endpoints  []string // the stream must take their subjects
	Manage     bool     // create it if it is missing, and apply the explicit settings
	Replicas   int
	MaxAge     time.Duration // 0: no limit
	MaxBytes   int64         // 0: no limit
	Duplicates time.Duration // the duplicate window
	Explicit   explicit      // which of these are set, and not defaults

	// DropOldest is for the quarantine: a full stream drops its oldest messages, and doesn't refuse new
	// ones. Messages of kind Refused never displace those whose subjects end with ProtectedReason.
	DropOldest      bool
	ProtectedReason string
}

type explicit struct{ Replicas, MaxAge, MaxBytes, Duplicates bool }

// Config returns the configuration with which the stream is created. A full stream of events refuses
// new ones: old events never vanish.
func (s Stream) Config() jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:        s.Name,
		Description: "Webhooks as CloudEvents, published by webhook-bridge",
		Subjects:    []string{s.Prefix + ".>"},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Replicas:    s.Replicas,
		MaxAge:      s.MaxAge,
		MaxBytes:    cmp.Or(s.MaxBytes, -1),
		Duplicates:  s.Duplicates,
		AllowDirect: true,
	}
	if s.DropOldest {
		c.Discard = jetstream.DiscardOld
		c.Description = "Signed webhooks that could not be published, kept by webhook-bridge; see `bridge quarantine`"
	}
	return c
}

// found is the result of a check.
type found struct {
	info        *jetstream.StreamInfo  // before changes; nil: none was received
	config      jetstream.StreamConfig // after changes
	isMissing   bool                   // JetStream has answered that there is no stream
	created     bool                   // the stream was missing and has been created
	changes     []string               // that were made to the stream, in words
	differences []string               // that are left between stream and configuration, in words
}

// ensure creates or changes the stream as configured, and returns an error if it can't take our messages. It
// waits with patience for JetStream's first answer.
func (s Stream) ensure(ctx context.Context, js jetstream.JetStream, patience time.Duration) (found, error) {
	var f found
	first, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stream, err := js.Stream(first, s.Name)
	f.isMissing = errors.Is(err, jetstream.ErrStreamNotFound)
	if f.isMissing && s.Manage {
		stream, err = js.CreateStream(ctx, s.Config())
		f.created = err == nil
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another instance was faster
			stream, err = js.Stream(ctx, s.Name)
		}
	}
	if err != nil {
		return f, s.explain(err)
	}
	info := stream.CachedInfo()
	if s.DropOldest { // room.update needs the subjects
		if info, err = stream.Info(ctx, jetstream.WithSubjectFilter(s.Prefix+".>")); err != nil {
			return f, s.explain(err)
		}
	}
	f.info, f.config = info, info.Config
	for _, d := range s.compare(info.Config) {
		if d.apply == nil {
			f.differences = append(f.differences, fmt.Sprintf("%s is %v, not %v", d.setting, d.has, d.wanted))
			continue
		}
		// Each change is a request of its own: a cluster may lack room for the replicas, or our account
		// the right to change streams. The stream takes events all the same.
		change, wanted := fmt.Sprintf("%s from %v to %v", d.setting, d.has, d.wanted), f.config
		d.apply(&wanted)
		changed, err := js.UpdateStream(ctx, wanted)
		if err != nil {
			f.differences = append(f.differences, fmt.Sprintf("%s could not be applied: %v", change, err))
			continue
		}
		f.config, f.changes = changed.CachedInfo().Config, append(f.changes, change)
	}
	return f, s.usable(f.config)
}

// These codes of JetStream say that a stream can't be created.
const (
	codeSubjectsOverlap = 10065 // another stream has some of the subjects
	codeNoPeers         = 10005 // the cluster has too few servers, or too little room
	codeNoReplicas      = 10074 // there is no cluster
	codeNeedsMaxBytes   = 10113 // the account wants a limit
	codeNoTier          = 10120 // the account has limits for other numbers of replicas only
	codeMaxBytes        = 10122 // the limit is above that of the account
)

// explain adds the stream's name and the remedy to an error.
func (s Stream) explain(err error) error {
	var code jetstream.ErrorCode
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		code = api.ErrorCode
	}
	why := ""
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("stream %s does not exist: create it (`bridge stream` prints how), or let `bridge serve` with STREAM_MANAGE=true do so", s.Name)
	case code == codeSubjectsOverlap:
		or := ", or set STREAM_NAME to it"
		if s.DropOldest { // STREAM_NAME is the other stream's
			or = ""
		}
		why = fmt.Sprintf(" can't be created, because another stream has subjects of %s.>: "+
			"remove them from that stream (`nats stream find --subject '%[1]s.>'`)%s, or change SUBJECT_PREFIX", s.Prefix, or)
	case code == codeNoPeers, code == codeNoReplicas:
		why = " can't be created: set STREAM_REPLICAS to the number of NATS servers that have JetStream and room, or fewer"
	case code == codeNoTier:
		why = " can't be created: set STREAM_REPLICAS to a number of replicas for which our account has limits"
	case code == codeNeedsMaxBytes:
		why = " can't be created: set STREAM_MAX_BYTES"
	case codes[code] == NoStorage, code == codeMaxBytes:
		why = ": JetStream has no room for it: raise the account's or the server's limits, " +
			"or lower STREAM_MAX_BYTES or QUARANTINE_MAX_BYTES"
	case errors.Is(err, nats.ErrMaxPayload):
		why = ": our requests are too large for NATS: raise max_payload of the server or our account"
	case stream.IsUnavailable(err):
		why = ": JetStream is not available: enable it on the server and for our account; at a leaf node, " +
			"set NATS_JS_DOMAIN to JetStream's domain, and see whether the leaf is connected to its hub"
	case errors.Is(err, context.DeadlineExceeded):
		why = ": JetStream does not answer; it may have no leader"
	}
	return fmt.Errorf("stream %s%s: %w", s.Name, why, err)
}

// difference is a setting that a stream and the configuration have differently.
type difference struct {
	setting     string
	has, wanted any                           // for the log
	apply       func(*jetstream.StreamConfig) // makes the change; nil: the bridge leaves the setting as it is
}

// compare returns how a stream differs from the configuration. The bridge changes only explicit settings,
// and makes no limit smaller.
func (s Stream) compare(have jetstream.StreamConfig) (all []difference) {
	want, set := s.Config(), s.Explicit
	const none = "none"
	maxBytes, transform, sources, republish := "STREAM_MAX_BYTES", none, none, none
	if s.DropOldest {
		maxBytes = "QUARANTINE_MAX_BYTES"
	}
	if t := have.SubjectTransform; t != nil {
		transform = fmt.Sprintf("%q to %q", t.Source, t.Destination)
	}
	if len(have.Sources) > 0 {
		sources = strconv.Quote(have.Sources[0].Name)
	}
	if r := have.RePublish; r != nil {
		republish = fmt.Sprintf("to %q", r.Destination)
	}
	if !set.Duplicates {
		want.Duplicates = max(want.Duplicates, have.Duplicates) // a longer window than needed does no harm
	}
	compare := func(setting string, has, wanted any, mayChange bool, apply func(*jetstream.StreamConfig)) {
		if !mayChange || !s.Manage {
			apply = nil
		}
		if has != wanted {
			all = append(all, difference{setting, has, wanted, apply})
		}
	}
	differ := func(setting string, has, wanted any) { compare(setting, has, wanted, false, nil) }
	// The age comes before the duplicate window, which can't exceed it.
	compare("STREAM_MAX_AGE", age(have.MaxAge), age(want.MaxAge), set.MaxAge && grows(have.MaxAge, want.MaxAge),
		func(c *jetstream.StreamConfig) { c.MaxAge = want.MaxAge })
	compare(maxBytes, size(have.MaxBytes), size(want.MaxBytes), set.MaxBytes && grows(have.MaxBytes, want.MaxBytes),
		func(c *jetstream.StreamConfig) { c.MaxBytes = want.MaxBytes })
	// An explicit size also decides what a full stream does: it refuses new events, and the quarantine
	// drops its oldest messages.
	compare("discard policy", have.Discard, want.Discard, set.MaxBytes,
		func(c *jetstream.StreamConfig) { c.Discard = want.Discard })
	compare("STREAM_DUPLICATES", age(have.Duplicates), age(want.Duplicates), set.Duplicates && want.Duplicates > have.Duplicates,
		func(c *jetstream.StreamConfig) { c.Duplicates = want.Duplicates })
	compare("STREAM_REPLICAS", have.Replicas, want.Replicas, set.Replicas && want.Replicas > have.Replicas,
		func(c *jetstream.StreamConfig) { c.Replicas = want.Replicas })
	differ("subject list", strings.Join(have.Subjects, " "), want.Subjects[0])
	differ("max_msg_size", size(int64(have.MaxMsgSize)), size(0))
	differ("storage", have.Storage, want.Storage)
	differ("retention", have.Retention, want.Retention)
	differ("max_msgs", limit(have.MaxMsgs, ""), limit(0, ""))
	differ("max_msgs_per_subject", limit(have.MaxMsgsPerSubject, ""), limit(0, ""))
	differ("subject_transform", transform, none) // consumers can't find an event by its subject
	differ("sources", sources, none)             // the stream also has messages of others
	differ("republish", republish, none)         // subscribers there read every message
	return all
}

// grows reports whether want is a larger limit than have; 0 or less is no limit.
func grows[T ~int64](have, want T) bool { return have > 0 && (want <= 0 || want > have) }

// size returns a limit in bytes, in the form of the variables: 64MiB.
func size(n int64) string {
	unit := " bytes"
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n%1024 != 0 {
			break
		}
		n, unit = n/1024, larger
	}
	return limit(n, unit)
}

// limit returns a limit in words.
func limit(n int64, unit string) string {
	if n <= 0 {
		return "no limit"
	}
	return fmt.Sprint(n, unit)
}

// age returns a time limit in words, in the form of the variables: 25h, not 25h0m0s.
func age(d time.Duration) string {
	if d <= 0 {
		return "no limit"
	}
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
}

// usable returns an error if the stream would not take or keep our messages, or would acknowledge them
// before they are stored.
func (s Stream) usable(have jetstream.StreamConfig) error {
	switch {
	case have.Mirror != nil:
		return fmt.Errorf("stream %s is a mirror of %s and takes no messages: set STREAM_NAME to %[2]s", s.Name, have.Mirror.Name)
	case have.NoAck:
		return fmt.Errorf("stream %s sends no acknowledgements (no_ack): set no_ack to false, or no event is known to be stored", s.Name)
	case have.PersistMode == jetstream.AsyncPersistMode:
		return fmt.Errorf("stream %s acknowledges before it writes (persist_mode async) and would lose events when a server dies: "+
			"the mode can't be changed, so create the stream again with the default mode, or set STREAM_NAME to another one", s.Name)
	case have.AllowMsgCounter:
		return fmt.Errorf("stream %s takes only counters (allow_msg_counter): "+
			"that can't be changed, so create the stream again without it, or set STREAM_NAME to another one", s.Name)
	case have.Retention == jetstream.InterestPolicy:
		return fmt.Errorf("stream %s keeps a message only while a consumer wants it (interest retention): set its retention to limits", s.Name)
	case have.Sealed:
		return fmt.Errorf("stream %s is sealed and takes no messages: "+
			"take its subjects away (`nats stream edit --subjects`), and set STREAM_NAME to another stream", s.Name)
	}
	for _, endpoint := range s.Endpoints {
		wanted := s.Prefix + "." + endpoint + ".>"
		if !takes(have.Subjects, wanted) {
			return fmt.Errorf("stream %s has the subjects %s and does not take %s: add %s.> to them, or set STREAM_NAME to another stream",
				s.Name, strings.Join(have.Subjects, ", "), wanted, s.Prefix)
		}
	}
	return nil
}

// takes reports whether a stream with these subjects takes each subject that matches the wanted one.
func takes(subjects []string, wanted string) bool {
	return slices.ContainsFunc(subjects, func(subject string) bool { return server.SubjectMatchesFilter(wanted, subject) })
}
