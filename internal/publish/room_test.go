package publish

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

const quarantineBytes = 1 << 20

// small is a quarantine of 1 MiB.
func small(c *Config) {
	quarantined(c)
	c.Quarantine.MaxBytes, c.Quarantine.ProtectedReason = quarantineBytes, "unreadable"
}

func kept(kind Kind, id string, size int) Message {
	m := message(id)
	m.Kind, m.Subject, m.Data = kind, "webhooks-quarantine.flock.stale", make([]byte, size)
	if kind == Quarantined {
		m.Subject = "webhooks-quarantine.flock.unreadable"
	}
	return m
}

// bySubject returns the number of messages in the quarantine's stream, by subject.
func bySubject(t *testing.T, js jetstream.JetStream) jetstream.StreamState {
	t.Helper()
	stream, err := js.Stream(t.Context(), "WEBHOOKS_QUARANTINE")
	expect.NoError(t, err)
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	expect.NoError(t, err)
	return info.State
}

// flood publishes refused deliveries and returns how many were kept.
func (f *fixture) flood(name string, n, size int) (stored int) {
	f.t.Helper()
	for i := range n {
		poll.Until(f.t, "the room is known", func() bool { return f.Publisher.Ready(Refused) == nil })
		status, err := f.Publish(f.t.Context(), kept(Refused, fmt.Sprint(name, i), size))
		switch {
		case err == nil && status == Stored:
			stored++
		case !errors.Is(err, ErrNoRoom) || CauseOf(err) != NoRoom:
			f.t.Errorf("refused delivery %d: got %q, %v, want ErrNoRoom", i, status, err)
		}
	}
	return stored
}

// Deliveries that were answered 200 stay, however many more are answered 401, by any number of
// instances.
func TestRefusedPushNothingOut(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	instances := make([]*fixture, 3)
	for i := range instances {
		instances[i] = open(t, s.URL(), small).connected()
		poll.Until(t, "ready", func() bool { return instances[i].Publisher.Ready(Refused) == nil })
	}
	instances[0].takes(Stored, kept(Quarantined, "first", 1000))
	stored := make([]int, len(instances))
	var floods sync.WaitGroup
	for i, f := range instances {
		floods.Go(func() { stored[i] = f.flood(fmt.Sprint(i, " "), 100, 20<<10) })
	}
	floods.Wait()
	state := bySubject(t, js)
	if state.Subjects["webhooks-quarantine.flock.unreadable"] != 1 {
		t.Errorf("what was answered 200 is gone: %+v", state)
	}
	for i, n := range stored {
		if n == 0 || n == 100 {
			t.Errorf("instance %d kept %d of 100", i, n)
		}
	}
	if most := uint64(quarantineBytes/2 + len(instances)*(quarantineBytes/roomSteps+20<<10+storeOverhead)); state.Bytes > most {
		t.Errorf("%d bytes, want no more than %d", state.Bytes, most)
	}
	// Deliveries that are answered 200 are still kept in a full stream; the oldest refused ones are
	// removed.
	for i := range 30 {
		instances[1].takes(Stored, kept(Quarantined, fmt.Sprint("more ", i), 20<<10))
	}
	if n := bySubject(t, js).Subjects["webhooks-quarantine.flock.unreadable"]; n < 30 {
		t.Errorf("%d of what was answered 200 is left", n)
	}
}

// In a stream with only refused deliveries the oldest make room for the newest.
func TestRefusedAlone(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), small).connected()
	poll.Until(t, "ready", func() bool { return f.Publisher.Ready(Refused) == nil })
	expect.Equal(t, 80, f.flood("", 80, 20<<10), "refused deliveries kept")
	for _, id := range []string{"a", "b"} {
		poll.Until(t, "the room is known", func() bool { return f.Publisher.Ready(Refused) == nil })
		expect.NoError(t, f.PublishAll(t.Context(), []Message{kept(Refused, id, 20<<10)})[0].Err)
	}
	state := bySubject(t, natsdtest.Connect(t, s.URL()))
	if state.LastSeq != 82 || state.Msgs < 40 || state.Msgs > 60 {
		t.Errorf("the stream: got %+v, want the last 40 to 60 of 82", state)
	}
}

// A message that the stream would drop at once is refused, for any stream.
func TestLargerThanStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	js := natsdtest.Connect(t, s.URL())
	for _, c := range []jetstream.StreamConfig{
		{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, MaxBytes: 10_000, Discard: jetstream.DiscardOld},
		{Name: "WEBHOOKS_QUARANTINE", Subjects: []string{"webhooks-quarantine.>"}, MaxBytes: 10_000, Discard: jetstream.DiscardOld},
	} {
		natsdtest.CreateStream(t, js, c)
	}
	f := open(t, s.URL(), small).connected()
	poll.Until(t, "ready", func() bool { return f.Publisher.Ready(Refused) == nil })
	for _, kind := range []Kind{Refused, Event, Quarantined} {
		m := kept(kind, "large "+kind.String(), 10_000)
		if kind == Event {
			m.Subject = subject
		}
		if status, err := f.Publish(t.Context(), m); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %q, %v, want ErrTooLarge", kind, status, err)
		}
		m.Data = m.Data[:9_000]
		f.takes(Stored, m)
	}
}

// A stream without room isn't checked again and again, unless room was used since the last check.
func TestLooksSeldom(t *testing.T) {
	t.Parallel()
	checks := 0
	r := &room{reason: "unreadable", limit: 100_000, check: func() { checks++ }}
	full := &jetstream.StreamInfo{State: jetstream.StreamState{Bytes: 49_000, Msgs: 1, Subjects: map[string]uint64{"q.flock.unreadable": 1}}}
	see := func(info *jetstream.StreamInfo) { r.begin(); r.update(info) }
	see(full)
	expect.ErrorIs(t, ErrNoRoom, r.admit(1000), "the error")
	expect.Equal(t, 0, checks, "checks, as no room was used")
	expect.NoError(t, r.admit(1))
	expect.ErrorIs(t, ErrNoRoom, r.admit(1), "the error")
	expect.Equal(t, 1, checks, "checks")
	see(&jetstream.StreamInfo{})
	expect.NoError(t, r.admit(90_000)) // larger than a step
	expect.ErrorIs(t, ErrUnavailable, r.admit(1), "the error once a step is used up")
	expect.ErrorIs(t, errRoomUsed, r.ready(), "ready")
	see(&jetstream.StreamInfo{})
	expect.NoError(t, r.admit(1))
}

// A message that is admitted during a check counts, though the check may not see it.
func TestAdmittedDuringLook(t *testing.T) {
	t.Parallel()
	checks := 0
	r := &room{reason: "unreadable", limit: 100_000, check: func() { checks++ }}
	r.begin()
	r.update(&jetstream.StreamInfo{})
	r.begin()
	expect.NoError(t, r.admit(6000)) // a step
	r.update(&jetstream.StreamInfo{})
	expect.ErrorIs(t, errRoomUsed, r.admit(1), "the error once the step is used up")
	expect.Equal(t, 1, checks, "checks")
	r.begin()
	r.update(&jetstream.StreamInfo{})
	expect.NoError(t, r.admit(1))
}

func TestRoom(t *testing.T) {
	t.Parallel()
	state := func(bytes, messages uint64, subject string) jetstream.StreamState {
		return jetstream.StreamState{Bytes: bytes, Msgs: messages, Subjects: map[string]uint64{subject: 1}}
	}
	for name, test := range map[string]struct {
		info jetstream.StreamInfo
		size int64
		want bool
	}{
		"empty":                          {jetstream.StreamInfo{}, 90_000, true},
		"full of what was refused":       {jetstream.StreamInfo{State: state(100_000, 1, "q.flock.stale")}, 50_000, true},
		"something else, and room":       {jetstream.StreamInfo{State: state(1000, 1, "q.flock.unreadable")}, 40_000, true},
		"something else, less than half": {jetstream.StreamInfo{State: state(1000, 1, "q.flock.unreadable")}, 50_000, false},
		"something else, half full":      {jetstream.StreamInfo{State: state(50_000, 1, "q.eu.unreadable")}, 1, false},
		"the stream's own limit":         {jetstream.StreamInfo{Config: jetstream.StreamConfig{MaxBytes: 50_000}, State: state(20_000, 1, "q.eu.unreadable")}, 5000, false},
		"a larger limit of the stream":   {jetstream.StreamInfo{Config: jetstream.StreamConfig{MaxBytes: 1e9}, State: state(50_000, 1, "q.eu.unreadable")}, 1, false},
		"messages are limited, too":      {jetstream.StreamInfo{Config: jetstream.StreamConfig{MaxMsgs: 10}, State: state(1000, 5, "q.eu.unreadable")}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &room{reason: "unreadable", limit: 100_000, check: func() {}}
			r.update(&test.info)
			if err := r.admit(test.size); (err == nil) != test.want || err != nil && !errors.Is(err, ErrNoRoom) {
				t.Errorf("%v, want room: %v", err, test.want)
			}
		})
	}
}
