package publish

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// reconcile makes the allowed changes to a stream's configuration. It returns them and the other differences.
func (s Stream) reconcile(have *jetstream.StreamConfig) (changes, differences []string) {
	for _, d := range s.compare(*have) {
		if d.apply == nil {
			differences = append(differences, fmt.Sprintf("%s is %v, not %v", d.setting, d.has, d.wanted))
			continue
		}
		changes = append(changes, fmt.Sprintf("%s from %v to %v", d.setting, d.has, d.wanted))
		d.apply(have)
	}
	return changes, differences
}

// Only explicitly set variables change an existing stream, and nothing is made smaller.
func TestReconcile(t *testing.T) {
	t.Parallel()
	const day, hour = 24 * time.Hour, time.Hour
	type limits struct {
		replicas   int
		age        time.Duration
		bytes      int64
		duplicates time.Duration
	}
	none := limits{1, 7 * day, 0, 25 * hour} // the defaults
	for _, test := range []struct {
		name     string
		has      limits
		wants    limits
		explicit string // the initials of what is set
		becomes  limits
		differs  []string
	}{
		{"equal", none, none, "rabd", none, nil},
		{"defaults change nothing", limits{3, day, 1000, hour}, none, "", limits{3, day, 1000, hour}, []string{
			"STREAM_MAX_AGE is 24h, not 168h", "STREAM_MAX_BYTES is 1000 bytes, not no limit", "STREAM_DUPLICATES is 1h, not 25h", "STREAM_REPLICAS is 3, not 1",
		}},
		{"all grow", limits{1, day, 1000, hour}, limits{3, 2 * day, 2000, 2 * hour}, "rabd", limits{3, 2 * day, 2000, 2 * hour}, nil},
		{"none shrinks", limits{3, 2 * day, 2000, 2 * hour}, limits{1, day, 1000, hour}, "rabd", limits{3, 2 * day, 2000, 2 * hour}, []string{
			"STREAM_MAX_AGE is 48h, not 24h", "STREAM_MAX_BYTES is 2000 bytes, not 1000 bytes", "STREAM_DUPLICATES is 2h, not 1h", "STREAM_REPLICAS is 3, not 1",
		}},
		{"no limit is more than any", limits{1, day, 1000, hour}, limits{1, 0, 0, hour}, "ab", limits{1, 0, 0, hour}, nil},
		{"any limit is less than none", limits{1, 0, 0, hour}, limits{1, day, 1000, hour}, "ab", limits{1, 0, 0, hour}, []string{
			"STREAM_MAX_AGE is no limit, not 24h", "STREAM_MAX_BYTES is no limit, not 1000 bytes",
		}},
		{"only replicas", limits{1, day, 1000, hour}, limits{3, 2 * day, 2000, 2 * hour}, "r", limits{3, day, 1000, hour}, []string{
			"STREAM_MAX_AGE is 24h, not 48h", "STREAM_MAX_BYTES is 1000 bytes, not 2000 bytes", "STREAM_DUPLICATES is 1h, not 2h",
		}},
		{"only age", limits{1, day, 1000, hour}, limits{3, 2 * day, 2000, 2 * hour}, "a", limits{1, 2 * day, 1000, hour}, []string{
			"STREAM_MAX_BYTES is 1000 bytes, not 2000 bytes", "STREAM_DUPLICATES is 1h, not 2h", "STREAM_REPLICAS is 1, not 3",
		}},
		{"only bytes", limits{1, day, 1000, hour}, limits{3, 2 * day, 2000, 2 * hour}, "b", limits{1, day, 2000, hour}, []string{
			"STREAM_MAX_AGE is 24h, not 48h", "STREAM_DUPLICATES is 1h, not 2h", "STREAM_REPLICAS is 1, not 3",
		}},
		{"only duplicates", limits{1, day, 1000, hour}, limits{3, 2 * day, 2000, 2 * hour}, "d", limits{1, day, 1000, 2 * hour}, []string{
			"STREAM_MAX_AGE is 24h, not 48h", "STREAM_MAX_BYTES is 1000 bytes, not 2000 bytes", "STREAM_REPLICAS is 1, not 3",
		}},
		{"a window longer than what is needed", limits{1, 7 * day, 0, 50 * hour}, none, "", limits{1, 7 * day, 0, 50 * hour}, nil},
		{"a window longer than what is set", limits{1, 7 * day, 0, 50 * hour}, none, "d", limits{1, 7 * day, 0, 50 * hour}, []string{"STREAM_DUPLICATES is 50h, not 25h"}},
	} {
		for _, manage := range []bool{true, false} {
			s := Stream{Name: "S", Prefix: "p", Manage: manage, Replicas: test.wants.replicas, MaxAge: test.wants.age, MaxBytes: test.wants.bytes, Duplicates: test.wants.duplicates}
			s.Explicit.Replicas = strings.Contains(test.explicit, "r")
			s.Explicit.MaxAge = strings.Contains(test.explicit, "a")
			s.Explicit.MaxBytes = strings.Contains(test.explicit, "b")
			s.Explicit.Duplicates = strings.Contains(test.explicit, "d")
			have := s.Config()
			have.Replicas, have.MaxAge, have.MaxBytes, have.Duplicates = test.has.replicas, test.has.age, test.has.bytes, test.has.duplicates
			if have.MaxBytes == 0 {
				have.MaxBytes = -1 // as the server says it
			}
			changes, differences := s.reconcile(&have)
			changed := len(changes) > 0
			got := limits{have.Replicas, have.MaxAge, max(have.MaxBytes, 0), have.Duplicates}
			becomes, differs := test.becomes, test.differs
			if !manage { // nothing is changed, and all that would have been is listed too
				becomes, differs = test.has, differences
			}
			if got != becomes || changed != (becomes != test.has) {
				t.Errorf("%s, manage %t: became %v, changed %t; want %v", test.name, manage, got, changed, becomes)
			}
			expect.Equal(t, differs, differences, "%s, manage %t: differences", test.name, manage)
			if same := test.has == test.wants || test.differs == nil && test.becomes == test.has; !manage && (len(differences) == 0) != same {
				t.Errorf("%s, manage %t: differences %q", test.name, manage, differences)
			}
		}
	}
}

// Differences that the bridge never changes are logged if they matter.
func TestReconcileListsPolicies(t *testing.T) {
	t.Parallel()
	s := Stream{Prefix: "p", Manage: true, Replicas: 1}
	have := s.Config()
	have.Subjects, have.MaxMsgSize = append(have.Subjects, "other.>"), 300
	have.Storage, have.Retention, have.Discard = jetstream.MemoryStorage, jetstream.InterestPolicy, jetstream.DiscardOld
	have.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "a.>", Destination: "b.>"}
	have.Sources = []*jetstream.StreamSource{{Name: "OTHER"}}
	have.RePublish = &jetstream.RePublish{Source: ">", Destination: "c.>"}
	changes, got := s.reconcile(&have)
	want := []string{
		"discard policy is DiscardOld, not DiscardNew", "subject list is p.> other.>, not p.>", "max_msg_size is 300 bytes, not no limit", "storage is Memory, not File", "retention is Interest, not Limits",
		`subject_transform is "a.>" to "b.>", not none`, `sources is "OTHER", not none`, `republish is to "c.>", not none`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(changes) > 0 {
		t.Errorf("changed %q, differences (-want +got):\n%s", changes, diff)
	}
}

// STREAM_MAX_BYTES means that a full stream refuses new events; a foreign stream may drop old ones.
func TestReconcileDiscardsNew(t *testing.T) {
	t.Parallel()
	s := Stream{Manage: true, Replicas: 1, MaxBytes: 2000}
	s.Explicit.MaxBytes = true
	have := s.Config()
	have.Discard, have.MaxBytes = jetstream.DiscardOld, 1000
	changes, differences := s.reconcile(&have)
	expect.Equal(t, []string{"STREAM_MAX_BYTES from 1000 bytes to 2000 bytes", "discard policy from DiscardOld to DiscardNew"}, changes, "changes")
	expect.Equal(t, nil, differences, "differences left")
	expect.Equal(t, jetstream.DiscardNew, have.Discard, "discard policy")
}

// A size of the stream is reserved when it is created, so it can exceed what the account may store.
func TestExplainLimits(t *testing.T) {
	t.Parallel()
	for _, code := range []jetstream.ErrorCode{10002, 10027, 10047} {
		got := Stream{Name: "S"}.explain(&jetstream.APIError{ErrorCode: code}).Error()
		if !strings.HasPrefix(got, "stream S: JetStream has no room for it: raise the account's or the server's limits, or lower STREAM_MAX_BYTES or QUARANTINE_MAX_BYTES: nats: ") {
			t.Errorf("explain(%d) = %s", code, got)
		}
	}
}

// These errors don't name the variable to set.
func TestExplainSettings(t *testing.T) {
	t.Parallel()
	events, kept := Stream{Name: "S", Prefix: "w"}, Stream{Name: "S_QUARANTINE", Prefix: "w-quarantine", DropOldest: true}
	for _, test := range []struct {
		stream Stream
		code   jetstream.ErrorCode
		want   string
	}{
		{events, 10005, "set STREAM_REPLICAS to the number of NATS servers that have JetStream and room, or fewer"},
		{events, 10074, "set STREAM_REPLICAS to the number of NATS servers that have JetStream and room, or fewer"},
		{events, 10120, "set STREAM_REPLICAS to a number of replicas for which our account has limits"},
		{events, 10113, "set STREAM_MAX_BYTES"},
		{events, 10122, "lower STREAM_MAX_BYTES or QUARANTINE_MAX_BYTES"},
		{events, 10065, "remove them from that stream (`nats stream find --subject 'w.>'`), or set STREAM_NAME to it, or change SUBJECT_PREFIX"},
		{kept, 10065, "remove them from that stream (`nats stream find --subject 'w-quarantine.>'`), or change SUBJECT_PREFIX"},
	} {
		got := test.stream.explain(&jetstream.APIError{ErrorCode: test.code}).Error()
		if !strings.HasPrefix(got, "stream "+test.stream.Name) || !strings.HasSuffix(got, test.want+": "+(&jetstream.APIError{ErrorCode: test.code}).Error()) {
			t.Errorf("explain(%d) of %s = %s, want %q in it", test.code, test.stream.Name, got, test.want)
		}
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	s := Stream{Name: "S", Prefix: "w", Endpoints: []string{"flock", "frigade"}}
	for _, test := range []struct {
		name string
		have jetstream.StreamConfig
		want string
	}{
		{"ours", jetstream.StreamConfig{Subjects: []string{"w.>"}}, ""},
		{"wider", jetstream.StreamConfig{Subjects: []string{"x", ">"}}, ""},
		{"wildcards", jetstream.StreamConfig{Subjects: []string{"*.*.>"}}, ""},
		{"too few tokens", jetstream.StreamConfig{Subjects: []string{"w.*"}}, "stream S has the subjects w.* and does not take w.flock.>: add w.> to them, or set STREAM_NAME to another stream"},
		{"one for each", jetstream.StreamConfig{Subjects: []string{"w.flock.>", "w.frigade.>"}}, ""},
		{"one is missing", jetstream.StreamConfig{Subjects: []string{"w.flock.>", "w.other.>"}}, "stream S has the subjects w.flock.>, w.other.> and does not take w.frigade.>: add w.> to them, or set STREAM_NAME to another stream"},
		{"a mirror", jetstream.StreamConfig{Mirror: &jetstream.StreamSource{Name: "M"}}, "stream S is a mirror of M and takes no messages: set STREAM_NAME to M"},
		{"no acks", jetstream.StreamConfig{Subjects: []string{"w.>"}, NoAck: true}, "stream S sends no acknowledgements (no_ack): set no_ack to false, or no event is known to be stored"},
		{"counters", jetstream.StreamConfig{Subjects: []string{"w.>"}, AllowMsgCounter: true}, "stream S takes only counters (allow_msg_counter): that can't be changed, so create the stream again without it, or set STREAM_NAME to another one"},
		{"sealed", jetstream.StreamConfig{Subjects: []string{"w.>"}, Sealed: true}, "stream S is sealed and takes no messages: take its subjects away (`nats stream edit --subjects`), and set STREAM_NAME to another stream"},
	} {
		got := ""
		if err := s.usable(test.have); err != nil {
			got = err.Error()
		}
		expect.Equal(t, test.want, got, "%s", test.name)
	}
}

// With interest retention and no consumer, an event would be acknowledged and removed.
func TestInterestRetentionIsRefused(t *testing.T) {
	s := Stream{Name: "WEBHOOKS", Prefix: "webhooks", Endpoints: []string{"flock"}}
	have := s.Config()
	expect.NoError(t, s.usable(have))
	have.Retention = jetstream.InterestPolicy
	if err := s.usable(have); err == nil || !strings.Contains(err.Error(), "interest retention") {
		t.Errorf("usable = %v", err)
	}
}

// A server that acknowledges before it writes loses acknowledged events when it dies.
func TestAsyncPersistenceIsRefused(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	config := jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, PersistMode: jetstream.AsyncPersistMode}
	natsdtest.CreateStream(t, js, config)
	f := open(t, s.URL())
	poll.Until(t, "the error", func() bool {
		err := f.Ready()
		return err != nil && strings.Contains(err.Error(), "(persist_mode async)") && strings.Contains(err.Error(), "default mode")
	})
}

// Differences are logged for each of the two streams, with its name.
func TestWindowOfQuarantineDiffers(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	for name, window := range map[string]time.Duration{"WEBHOOKS": 50 * time.Hour, "KEPT": time.Hour} {
		config := jetstream.StreamConfig{Name: name, Subjects: []string{strings.ToLower(name) + ".>"}, MaxAge: 168 * time.Hour, Duplicates: window}
		config.Discard = map[string]jetstream.DiscardPolicy{"WEBHOOKS": jetstream.DiscardNew, "KEPT": jetstream.DiscardOld}[name]
		natsdtest.CreateStream(t, js, config)
	}
	f := open(t, s.URL(), func(c *Config) {
		kept := c.Stream
		kept.Name, kept.Prefix, kept.DropOldest = "KEPT", "kept", true
		c.Quarantine = &kept
	}).connected()
	poll.Until(t, "the quarantine's is checked", func() bool { return f.Publisher.Ready(Quarantined) == nil })
	logged := f.logs.FilterMessage(sayDiffers).All()
	if len(logged) != 1 {
		t.Fatalf("logged %v", logged)
	}
	got := logged[0].ContextMap()
	want := map[string]any{"stream": "KEPT", "differences": []any{"STREAM_DUPLICATES is 1h, not 25h"}}
	expect.Equal(t, want, got, "logged")
}
