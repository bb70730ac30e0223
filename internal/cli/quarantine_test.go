package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// keep quarantines a delivery of Flock's that is dated so, and returns its id.
func (f *fixture) keep(reason string, dated, received time.Time) string {
	f.t.Helper()
	return f.keepSealed("hush", reason, dated, received)
}

// keepSealed is keep for a delivery that was signed with any secret.
func (f *fixture) keepSealed(key, reason string, dated, received time.Time) string {
	f.t.Helper()
	body, err := flock.Provider.NewBody("invitee.accepted", []byte(`{"n":1}`), "")
	expect.NoError(f.t, err)
	if body, err = flock.Provider.Renew(body, dated); err != nil {
		f.t.Fatal(err)
	}
	at := verify.Endpoint{Name: "flock", Provider: &flock.Provider}
	seal := at.Seal(verify.Claims{Scheme: verify.Payload, SignedText: [][]byte{body}}, secret.New(key), body)
	d := quarantine.Delivery{
		ID: event.ID("flock", [][]byte{body}, nil), Endpoint: "flock", Provider: "flock", Reason: reason,
		Received: received, Seal: seal, Body: body,
	}
	m := d.Message("webhooks")
	m.Headers = append(m.Headers, publish.Header{Name: "Nats-Msg-Id", Value: d.ID})
	f.put(m, "")
	return d.ID
}

// The rights in the documentation suffice for the commands.
func TestQuarantineRights(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := newFixture(t, mayPublish, mayList, mayShow, mayDrop, mayLookUp)
	stale := f.keep("stale", now.Add(-time.Hour), now)
	future := f.keep("future", now.Add(time.Hour), now)
	if out, _ := f.run("", exitOK, "quarantine", "list"); strings.Count(out, "\n") != 2 {
		t.Errorf("listed:\n%s", out)
	}
	if out, _ := f.run("", exitOK, "quarantine", "show", stale[:8]); !strings.HasPrefix(out, `{"name":"invitee.accepted"`) {
		t.Errorf("shown: %s", out)
	}
	if out, _ := f.run("", exitOK, "quarantine", "release", stale); out != stale+"  stored\n" {
		t.Errorf("released: %s", out)
	}
	f.run("", exitOK, "quarantine", "drop", future)
	if n, m := f.count("WEBHOOKS_QUARANTINE"), f.count("WEBHOOKS"); n != 0 || m != 1 {
		t.Errorf("%d in quarantine, %d events", n, m)
	}
}

// A delivery that was answered 200 isn't hidden by a changed copy, which has the same id.
func TestShowBesideCopy(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := newFixture(t, mayPublish, mayList, mayShow)
	id := f.keep("unreadable", now, now)
	f.keep("contradiction", now, now.Add(time.Minute))
	if _, details := f.run("", exitOK, "quarantine", "show", id); !strings.Contains(details, "reason     unreadable\n") {
		t.Errorf("shown:\n%s", details)
	}
}

// Without the right to look up, release publishes as possible duplicates only events that the
// stream may have forgotten.
func TestReleaseWithoutLookingUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := newFixture(t, mayPublish, mayList, mayShow, mayDrop)
	stale := f.keep("stale", now.Add(-time.Hour), now)
	future := f.keep("future", now.Add(time.Hour), now.Add(-time.Minute))
	old := f.keep("future", now.Add(time.Hour), now.Add(-2*time.Hour))
	if future != old { // the same delivery, twice
		t.Fatal(future, old)
	}
	out, _ := f.run("", exitOK, "quarantine", "release", "--all")
	if !strings.HasPrefix(out, old+"  stored, a possible duplicate: it can't be looked up\n") ||
		!strings.Contains(out, stale+"  stored, a possible duplicate: ") || !strings.Contains(out, future+"  duplicate\n") {
		t.Errorf("released: got %s, want stored twice as a possible duplicate, and one duplicate", out)
	}
	again := f.keep("future", now.Add(2*time.Hour), now.Add(-time.Minute))
	if out, _ := f.run("", exitOK, "quarantine", "release", again); !strings.HasPrefix(out, again+"  stored, a possible duplicate: ") {
		t.Errorf("one that the stream may not recognise, since its window may just have been raised: %s", out)
	}
}

// Of two deliveries of one event, the one that still fails doesn't keep the other in quarantine.
func TestReleaseBesideUnfit(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := newFixture(t, mayPublish, mayList, mayShow, mayDrop, mayLookUp)
	id := f.keep("stale", now.Add(-time.Hour), now.Add(-time.Minute))
	f.keepSealed("another secret", "stale", now.Add(-time.Hour), now)
	out, _ := f.run("", exitFailure, "quarantine", "release", "--all")
	if !strings.HasPrefix(out, id+"  stored\n"+id+"  not released: ") {
		t.Errorf("released: got %s, want one stored, then one that stays", out)
	}
	expect.Equal(t, 1, f.count("WEBHOOKS_QUARANTINE"), "deliveries left in quarantine")
}

// An event that the stream may have stored and forgotten is looked up and not published again.
func TestReleaseStoredAlready(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		name, reason    string
		dated, received time.Time
	}{
		{"received long ago", "future", now.Add(-2*time.Hour + 6*time.Minute), now.Add(-2 * time.Hour)},
		{"stale when it was received", "stale", now.Add(-48 * time.Hour), now},
		{"stale, though it was kept for something else", "contradiction", now.Add(-48 * time.Hour), now},
		{"received in the future", "stale", now.Add(-48 * time.Hour), now.Add(time.Hour)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, mayPublish, mayList, mayShow, mayDrop, mayLookUp)
			id := f.keep(test.reason, test.dated, test.received)
			// The stream remembers this id as well, so it would be a duplicate otherwise.
			f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte("{}")}, id)
			if out, _ := f.run("", exitOK, "quarantine", "release", id); out != id+"  stored already\n" {
				t.Errorf("released: got %s, want stored already", out)
			}
			if n, m := f.count("WEBHOOKS_QUARANTINE"), f.count("WEBHOOKS"); n != 0 || m != 1 {
				t.Errorf("%d in quarantine, %d events", n, m)
			}
		})
	}
}

// writerFunc is called with what is printed.
type writerFunc func(text string)

func (w writerFunc) Write(text []byte) (int, error) { w(string(text)); return len(text), nil }

// A copy that is stored after the look-up, and that the stream has forgotten again before its turn
// comes, is not stored twice.
func TestReleaseOutlastsWindow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayList, mayShow, mayDrop, mayLookUp)
	expect.NoError(t, expect.Err(f.js.UpdateStream(t.Context(), jetstream.StreamConfig{
		Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: 100 * time.Millisecond, AllowDirect: true,
	})))
	now := time.Now()
	first, second := f.keep("stale", now.Add(-time.Hour), now), f.keep("stale", now.Add(-2*time.Hour), now)
	var out strings.Builder
	prog := program{environ: f.environ, err: t.Output(), out: writerFunc(func(text string) {
		if out.Len() == 0 { // the first is released
			f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte("{}")}, second)
			time.Sleep(200 * time.Millisecond)
		}
		out.WriteString(text)
	})}
	expect.Equal(t, exitOK, run(t.Context(), []string{"quarantine", "release", "--all"}, prog), "the exit status")
	expect.Equal(t, first+"  stored\n"+second+"  stored already\n", out.String(), "what is printed")
}

// The beginning of an id is enough if it is unique. Messages of others in the stream are ignored.
func TestAbbreviatedIDs(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := newFixture(t, mayPublish, mayList, mayShow, mayDrop)
	f.put(publish.Message{Subject: "webhooks-quarantine.flock.stale", Data: []byte("{}")}, "5e0c")
	first := f.keep("stale", now.Add(-time.Hour/2), now)
	ids := map[byte]string{first[0]: first}
	for i := 0; ; i++ {
		id := f.keep("stale", now.Add(-time.Duration(i+1)*time.Hour), now)
		if other, ok := ids[id[0]]; ok {
			_, stderr := f.run("", exitFailure, "quarantine", "drop", id[:1])
			if !strings.Contains(stderr, fmt.Sprintf("in quarantine, several ids begin with %q, among them ", id[:1])) || !strings.Contains(stderr, other) {
				t.Errorf("an ambiguous beginning: got %s, want the ids that begin so", stderr)
			}
			break
		}
		ids[id[0]] = id
	}
	all := f.count("WEBHOOKS_QUARANTINE")
	_, stderr := f.run("", exitFailure, "quarantine", "drop", first, "x")
	if !strings.Contains(stderr, `nothing in quarantine has an id that begins with "x"`) || !strings.Contains(stderr, "skipping 1 message that no bridge has written, in stream WEBHOOKS_QUARANTINE") {
		t.Errorf("an unknown id: got %s, want that nothing begins so, and that one message isn't a bridge's", stderr)
	}
	expect.Equal(t, all, f.count("WEBHOOKS_QUARANTINE"), "deliveries left in quarantine")
	f.run("", exitOK, "quarantine", "drop", "--all")
	expect.Equal(t, 1, f.count("WEBHOOKS_QUARANTINE"), "deliveries left in quarantine")
}

// Thousands of deliveries are listed and dropped.
func TestManyInQuarantine(t *testing.T) {
	t.Parallel()
	const many = 6000 // more than are read at once
	f := newFixture(t, mayPublish, mayList, mayShow, mayDrop)
	d := quarantine.Delivery{Endpoint: "flock", Provider: "flock", Reason: "stale", Received: time.Now(), Seal: "0f", Body: []byte("{}")}
	for i := range many {
		d.ID = fmt.Sprintf("%032x", i)
		m := d.Message("webhooks")
		header := make(map[string][]string)
		for _, h := range m.Headers {
			header[h.Name] = []string{h.Value}
		}
		expect.NoError(t, expect.Err(f.js.PublishMsgAsync(newMsg(m.Subject, header, d.ID, m.Data), jetstream.WithStallWait(time.Minute))))
	}
	<-f.js.PublishAsyncComplete()
	out, _ := f.run("", exitOK, "quarantine", "list")
	if n := strings.Count(out, "\n"); n != many || !strings.HasSuffix(out, fmt.Sprintf("id %032x\n", many-1)) {
		t.Errorf("%d are listed", n)
	}
}

// A delivery that somebody else has removed in the meantime is not released, and that is printed.
func TestReleaseGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayList, mayShow, mayDrop, mayLookUp)
	id := f.keep("stale", time.Now().Add(-time.Hour), time.Now())
	var out strings.Builder
	prog := program{environ: f.environ, out: &out, err: t.Output()}
	c := new(cobra.Command)
	c.SetContext(t.Context())
	err := prog.withNATS(releaseVariables, func(ctx context.Context, s *session, _ []string) error {
		store, chosen, err := s.quarantined(ctx, quarantineSelection{all: true})
		expect.NoError(t, err)
		f.run("", exitOK, "quarantine", "drop", id)
		to, err := s.publisher(ctx)
		expect.NoError(t, err)
		defer func() { expect.NoError(t, to.Close(ctx)) }()
		return (&releaser{session: s, store: store, to: to}).all(ctx, chosen)
	})(c, nil)
	expect.Equal(t, "0 released, 1 not", fmt.Sprint(err), "the error")
	expect.Equal(t, id+"  not released: it is gone: somebody else has released or dropped it, or newer deliveries have displaced it\n", out.String(), "what is printed")
}

// Draining deliveries that were answered 401 doesn't push those that were answered 200 out of quarantine.
// If nothing limits the stream, all are kept.
func TestDrainPushesNothingOut(t *testing.T) {
	for name, test := range map[string]struct {
		limit int64
		least uint64
	}{"limited": {1 << 20, 2}, "without a limit": {-1, 81}} {
		t.Run(name, func(t *testing.T) {
			s := natsdtest.Start(t, "")
			js := natsdtest.Connect(t, s.URL())
			natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}})
			kept := natsdtest.CreateStream(t, js, jetstream.StreamConfig{
				Name: "WEBHOOKS_QUARANTINE", Subjects: []string{"webhooks-quarantine.>"}, MaxBytes: test.limit, Discard: jetstream.DiscardOld,
			})
			expect.NoError(t, expect.Err(js.Publish(t.Context(), "webhooks-quarantine.flock.unreadable", nil)))
			dir := t.TempDir()
			old, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 1 << 30, Log: zap.NewNop()})
			expect.NoError(t, err)
			for i := range 80 {
				m := publish.Message{Kind: publish.Refused, Subject: "webhooks-quarantine.flock.stale", ID: fmt.Sprint(i), Arrived: time.Now(), Data: make([]byte, 20<<10)}
				expect.NoError(t, old.Append(t.Context(), m, time.Time{}))
			}
			expect.NoError(t, old.Close(t.Context()))
			var out bytes.Buffer
			if status := run(t.Context(), []string{"spool", "drain", dir}, program{[]string{"NATS_URL=" + s.URL()}, nil, &out, &out}); status != 0 {
				t.Fatalf("exit status %d\n%s", status, &out)
			}
			info, err := kept.Info(t.Context(), jetstream.WithSubjectFilter(">"))
			expect.NoError(t, err)
			if info.State.Subjects["webhooks-quarantine.flock.unreadable"] != 1 || info.State.Msgs < test.least {
				t.Errorf("in quarantine: %v", info.State.Subjects)
			}
		})
	}
}
