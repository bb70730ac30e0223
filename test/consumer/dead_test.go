package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// words is a log.
type words struct {
	sync.Mutex
	bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.Lock()
	defer w.Unlock()
	return w.Buffer.Write(p)
}

func (w *words) String() string {
	w.Lock()
	defer w.Unlock()
	return w.Buffer.String()
}

func (w *words) logger() *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// An event that fails for good becomes a dead letter: at once if the error is permanent, else after
// the last attempt; so does a message that is no event. Other events go on. A marker, which the stream
// itself stores when the last message of a subject is gone, is acknowledged and nothing else.
func TestPoison(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 5)
	for _, data := range []string{"not from the bridge", ""} { // a marker is empty
		m := &nats.Msg{Subject: "webhooks.flock.x", Header: nats.Header{jetstream.MarkerReasonHeader: {"MaxAge"}}, Data: []byte(data)}
		if _, err := n.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	var calls, seen tally
	r := run(t, n.js, consumer.Options{MaxAttempts: 3, MakeDeadStream: true, Observer: seen.observe}, func(_ context.Context, m *consumer.Message) error {
		calls.add(m.Event.ID)
		switch m.Event.ID {
		case "2":
			return errors.New("zoë:\tnot today")
		case "4":
			return consumer.Permanent(errors.New("never"))
		}
		return nil
	})
	eventually(t, "all are handled", func() bool { return n.settled("rewards") })
	r.stopped()
	if events, all := calls.all(); events != 5 || all != 7 || calls.calls["2"] != 3 {
		t.Errorf("got the calls %v, want 7 for 5 events, 3 of them for event 2", calls.calls)
	}
	if seen.calls["handled"] != 3 || seen.calls["retried"] != 2 || seen.calls["dead"] != 3 {
		t.Errorf("reported %v, want 3 handled, 2 retried, 3 dead", seen.calls)
	}
	reasons := map[string]string{}
	for _, m := range n.dead() {
		reasons[m.Header.Get("Dead-Sequence")] = m.Header.Get("Dead-Reason")
		if m.Header.Get("Dead-Sequence") != "2" {
			continue
		}
		want := map[string]string{
			"Content-Type": "application/cloudevents+json; charset=utf-8", "Dead-Attempts": "3", "Dead-Durable": "rewards", "Dead-Stream": "WEBHOOKS",
			"Dead-Subject": "webhooks.flock.invitee.accepted", "Nats-Expected-Stream": "WEBHOOKS_DEAD",
		}
		for name, value := range want {
			if got := m.Header.Get(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
		if id := m.Header.Get("Nats-Msg-Id"); !strings.HasPrefix(id, "rewards:WEBHOOKS:2:1") {
			t.Error(id)
		}
		if m.Subject != "webhooks-dead.rewards.flock.invitee.accepted" || !strings.Contains(string(m.Data), `"u2"`) {
			t.Errorf("the dead letter: got %s %s, want the event on its subject", m.Subject, m.Data)
		}
	}
	if len(reasons) != 3 || reasons["2"] != `zo\u00eb:\tnot today` || reasons["4"] != "never" || reasons["6"] != "reading event: not a JSON object" {
		t.Errorf("got the reasons %q, want those of events 2, 4 and 6", reasons)
	}
}

// After its repair a consumer handles its dead letters like events; those that fail again stay
// among them.
func TestDeadLettersAgain(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 2)
	o := consumer.Options{MaxAttempts: 1, MakeDeadStream: true}
	r := run(t, n.js, o, func(context.Context, *consumer.Message) error { return errors.New("no") })
	eventually(t, "all are dead letters", func() bool { return n.settled("rewards") })
	r.stopped()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	o.Stream, o.Durable, o.Filters = "WEBHOOKS_DEAD", "mended", []string{"webhooks-dead.rewards.>"}
	go func() {
		ended <- consumer.Run(ctx, n.js, o, func(_ context.Context, m *consumer.Message) error {
			if m.Event.ID == "1" {
				return errors.New("again")
			}
			return nil
		})
	}()
	eventually(t, "one is a dead letter again", func() bool { return len(n.dead()) == 3 })
	stop()
	noError(t, <-ended)
	if again := n.dead()[2]; !strings.HasPrefix(again.Subject, "webhooks-dead.mended.") || again.Header.Get("Dead-Reason") != "again" {
		t.Errorf("dead again: got %s %v, want the second durable's subject and reason", again.Subject, again.Header)
	}
}

// A consumer of all dead letters doesn't make another of its own, which it would get again, and so on.
func TestDeadLettersOfItsOwn(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	if _, err := n.js.Publish(t.Context(), "webhooks-dead.other.flock.x", []byte("no event")); err != nil {
		t.Fatal(err)
	}
	r := run(t, n.js, consumer.Options{Stream: "WEBHOOKS_DEAD"}, unused)
	eventually(t, "all are handled", func() bool {
		c, err := n.js.Consumer(t.Context(), "WEBHOOKS_DEAD", "rewards")
		return err == nil && c.CachedInfo().Delivered.Stream >= 2 && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	})
	r.stopped()
	if dead := n.dead(); len(dead) != 2 || dead[1].Subject != "webhooks-dead.rewards.webhooks-dead.other.flock.x" {
		t.Errorf("got %d dead letters, want that of the other consumer, and one of its own", len(dead))
	}
}

func (c *tally) observe(_ *consumer.Message, outcome string, _ time.Duration, err error) {
	c.add(outcome)
	if (err == nil) != (outcome == "handled") {
		c.add(fmt.Sprintf("%s with the error %v", outcome, err))
	}
}

// An observer that panics ends nothing.
func TestObserverPanics(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	total := n.publish(1, 3)
	var calls tally
	log := &words{}
	o := consumer.Options{Logger: log.logger(), Observer: func(*consumer.Message, string, time.Duration, error) { panic("no such metric") }}
	r := run(t, n.js, o, func(_ context.Context, m *consumer.Message) error {
		calls.add(m.Event.ID)
		return nil
	})
	eventually(t, "all are handled", func() bool { return n.settled("rewards") })
	r.stopped()
	if events, calls := calls.all(); events != total || calls != total {
		t.Errorf("%d events, %d calls", events, calls)
	}
	if text := log.String(); strings.Count(text, "the observer panicked") != total {
		t.Error(text)
	}
}

// If no dead letter can be stored, the event stays, the log says what to do, and afterwards the
// event becomes a dead letter.
func TestNoDeadLetters(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		exists *jetstream.StreamConfig
		mend   func(jetstream.StreamManager) error
	}{
		"missing": {nil, func(js jetstream.StreamManager) error {
			_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "WEBHOOKS_DEAD", Subjects: []string{"webhooks-dead.>"}})
			return err
		}},
		"full": {&jetstream.StreamConfig{MaxBytes: 1, Discard: jetstream.DiscardNew}, func(js jetstream.StreamManager) error {
			_, err := js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "WEBHOOKS_DEAD", Subjects: []string{"webhooks-dead.>"}, MaxBytes: 1e6, Discard: jetstream.DiscardNew})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, "")
			if test.exists != nil {
				test.exists.Name, test.exists.Subjects = "WEBHOOKS_DEAD", []string{"webhooks-dead.>"}
				if _, err := n.js.CreateStream(t.Context(), *test.exists); err != nil {
					t.Fatal(err)
				}
			}
			n.publish(1, 2)
			var calls tally
			log := &words{}
			r := run(t, n.js, consumer.Options{Logger: log.logger(), MaxAttempts: 1}, func(_ context.Context, m *consumer.Message) error {
				calls.add(m.Event.ID)
				if m.Event.ID == "1" {
					return errors.New("no")
				}
				return nil
			})
			eventually(t, "the log says what to do", func() bool {
				return strings.Contains(log.String(), "nats stream add WEBHOOKS_DEAD --subjects 'webhooks-dead.>' --defaults")
			})
			eventually(t, "others are handled", func() bool { calls.Lock(); defer calls.Unlock(); return calls.calls["2"] == 1 })
			if n.settled("rewards") {
				t.Fatal("the event is gone")
			}
			noError(t, test.mend(n.js))
			eventually(t, "the event is a dead letter", func() bool { return n.settled("rewards") && len(n.dead()) == 1 })
			if calls.calls["1"] != 1 {
				t.Errorf("it was handled %d times", calls.calls["1"])
			}
			r.stopped()
		})
	}
}

// replicated is a JetStream whose consumers have three replicas.
type replicated struct {
	jetstream.JetStream
	create func(jetstream.StreamConfig) error
}

type replicatedConsumer struct{ jetstream.Consumer }

func (r replicated) Consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	found, err := r.JetStream.Consumer(ctx, stream, name)
	return replicatedConsumer{found}, err
}

func (c replicatedConsumer) CachedInfo() *jetstream.ConsumerInfo {
	info := *c.Consumer.CachedInfo()
	info.Cluster = &jetstream.ClusterInfo{Leader: "a", Replicas: []*jetstream.PeerInfo{{Name: "b"}, {Name: "c"}}}
	return &info
}

func (r replicated) CreateStream(_ context.Context, o jetstream.StreamConfig) (jetstream.Stream, error) {
	return nil, r.create(o)
}

// The stream of dead letters is made with the replicas of the consumer, once there are enough servers.
func TestReplicasOfDeadLetters(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	_, err := n.js.CreateConsumer(t.Context(), "WEBHOOKS", jetstream.ConsumerConfig{
		Durable: "rewards", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxDeliver: -1,
	})
	noError(t, err)
	made := make(chan int, 2)
	js := replicated{n.js, func(o jetstream.StreamConfig) error {
		made <- o.Replicas
		if len(made) == 1 {
			return &jetstream.APIError{ErrorCode: 10005, Description: "no suitable peers for placement"}
		}
		return nil
	}}
	n.publish(1, 1)
	r := run(t, js, consumer.Options{MakeDeadStream: true}, unused)
	eventually(t, "the event is handled", func() bool { return n.settled("rewards") || len(r.err) > 0 })
	r.stopped()
	if first, second := <-made, <-made; first != 3 || second != 3 {
		t.Errorf("made with %d, then %d replicas, want 3", first, second)
	}
}

// If the stream is still storing a dead letter, the event stays until that is certain. NATS 2.10
// answers so, and if its leader then goes, the letter is lost.
func TestUncertainDeadLetter(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.publish(1, 1)
	uncertain, err := n.js.Conn().Subscribe("webhooks-dead.>", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"stream":"WEBHOOKS_DEAD", "seq":0,"duplicate": true}`))
	})
	noError(t, err)
	log := &words{}
	r := run(t, n.js, consumer.Options{Logger: log.logger(), MaxAttempts: 1}, func(context.Context, *consumer.Message) error { return errors.New("no") })
	eventually(t, "the log says why", func() bool { return n.settled("rewards") || strings.Contains(log.String(), "still storing it") })
	noError(t, uncertain.Unsubscribe())
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	eventually(t, "the event is a dead letter", func() bool { return n.settled("rewards") })
	if len(n.dead()) != 1 {
		t.Errorf("got %d dead letters, want 1", len(n.dead()))
	}
	r.stopped()
}

// An event of almost the largest size becomes a dead letter, without the headers that leave it no
// room. One that doesn't fit at all stays, and the log names the limit.
func TestLargeDeadLetters(t *testing.T) {
	t.Parallel()
	const limit = 4096
	for name, test := range map[string]struct {
		conf  string
		limit jetstream.StreamConfig
	}{
		"max_payload":  {conf: fmt.Sprintf("max_payload: %d", limit)},
		"max_msg_size": {limit: jetstream.StreamConfig{MaxMsgSize: limit}},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, test.conf)
			test.limit.Name, test.limit.Subjects = "WEBHOOKS_DEAD", []string{"webhooks-dead.>"}
			_, err := n.js.CreateStream(t.Context(), test.limit)
			noError(t, err)
			e := event.New(event.Event{ID: strings.Repeat("0", 32), Provider: "flock", Event: "x", Signed: "payload", Data: []byte("{}")}, "flock", "", time.Time{})
			m := nats.NewMsg("webhooks.flock.x")
			m.Header.Set("Content-Type", event.ContentType)
			m.Header.Set("Nats-Msg-Id", e.ID)
			m.Header.Set("Nats-Expected-Stream", "WEBHOOKS")
			m.Data = append(e.Encode(), bytes.Repeat([]byte(" "), limit)...)
			m.Data = m.Data[:limit-(m.Size()-len(m.Data)-len(m.Subject))] // as large as the limit
			_, err = n.js.PublishMsg(t.Context(), m)
			noError(t, err)
			_, err = n.js.Publish(t.Context(), "webhooks.flock.x", make([]byte, limit))
			noError(t, err)
			log := &words{}
			r := run(t, n.js, consumer.Options{MaxAttempts: 1, Logger: log.logger()}, func(context.Context, *consumer.Message) error {
				return errors.New(strings.Repeat("no ", 1000))
			})
			eventually(t, "one is a dead letter", func() bool { return len(n.dead()) == 1 })
			eventually(t, "the other stays", func() bool {
				return strings.Contains(log.String(), "raise max_payload of the server, or max_msg_size of the stream WEBHOOKS_DEAD")
			})
			r.stopped()
			dead := n.dead()[0]
			if !bytes.Equal(dead.Data, m.Data) || !strings.HasPrefix(dead.Header.Get("Nats-Msg-Id"), "rewards:WEBHOOKS:1:") {
				t.Errorf("got %d bytes with %v, want the event and its position", len(dead.Data), dead.Header)
			}
		})
	}
}
