package relay

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// Records that are always refused must not block others for ever, even where the refusal doesn't say
// that the record is at fault, and however they are mixed with others.
func TestRefusedWhileOthersAreTaken(t *testing.T) {
	t.Parallel()
	// The stream takes the subject, but the server maps it to another one, of another stream.
	s := natsdtest.Start(t, `mappings = { "webhooks.other.a": "other" }`)
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, nil)
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	f := start(t, s.URL(), unmanaged).ready()
	for i := range 2 * firstBatch {
		f.takes(publish.Spooled, on("webhooks.other.a", fmt.Sprint("other ", i)))
	}
	f.publishes(publish.Spooled, "0")
	f.takes(publish.Spooled, on("webhooks.other.a", "last"))
	f.publishes(publish.Spooled, "1")
	f.delivered()
	expect.Equal(t, 2*firstBatch+1, f.Spool.Stats().SetAside, "records set aside")
	stored(t, js, "0", "1")
}

// suspects returns a forwarder that doesn't run, with records in the spool that the server maps to another
// stream's subject, and one behind them, "good", that the stream takes.
func suspects(t *testing.T, bad, size int, changes ...func(*settings)) (*forwarder, jetstream.JetStream) {
	t.Helper()
	s := natsdtest.Start(t, `mappings = { "webhooks.other.a": "other" }`)
	js := natsdtest.Connect(t, s.URL())
	makeStream(t, js, nil)
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	f := start(t, s.URL(), append(changes, unmanaged)...).ready()
	expect.NoError(t, f.Relay.Close(t.Context())) // nobody delivers meanwhile
	for i := range bad {
		m := sized(fmt.Sprint("other ", i), size)
		m.Subject = "webhooks.other.a"
		expect.NoError(t, f.Spool.Append(t.Context(), arrived(m, 0), time.Time{}))
	}
	expect.NoError(t, f.Spool.Append(t.Context(), arrived(message("good"), 0), time.Time{}))
	return newForwarder(f.Relay, publish.Event), js
}

// look looks for the fault as after so many failures, of which this was the last one's cause.
func (f *forwarder) look(t *testing.T, failures int, cause publish.Cause) {
	t.Helper()
	first, err := f.Spool.Next(f.kind, 0, 1, maxBytes)
	if err != nil || len(first) != 1 {
		t.Fatalf("the spool has %d, %v", len(first), err)
	}
	f.failures = failures
	f.setAsideIfAtFault(t.Context(), first[0], &publish.Error{Cause: cause})
}

// The record that NATS takes is found behind any number of others.
func TestTakenFarBehind(t *testing.T) {
	t.Parallel()
	f, js := suspects(t, 20, 512<<10)
	for i := range 4 {
		f.look(t, (i+1)*suspectEvery, publish.WrongStream)
		if len(natsdtest.IDs(t, js)) > 0 {
			break
		}
	}
	stored(t, js, "good")
	if n := f.Spool.Stats().SetAside; n < 7 {
		t.Errorf("%d are set aside", n)
	}
}

// A record that was taken twice, to find the others at fault, isn't remembered once it has left the spool.
func TestTakenIsForgotten(t *testing.T) {
	t.Parallel()
	f, _ := suspects(t, 3, 10)
	f.look(t, suspectEvery, publish.WrongStream)
	expect.Equal(t, 0, f.Spool.Len(publish.Event), "records in the queue")
	expect.Equal(t, 0, len(f.acked.places), "remembered acknowledgements")
}

// reacting does something once NATS has taken a record a second time.
type reacting struct {
	*counts
	react func()
}

func (r *reacting) Published(kind publish.Kind, way, outcome string) {
	r.counts.Published(kind, way, outcome)
	if outcome == string(publish.Duplicate) {
		r.react()
	}
}

func reactingTo(c *settings) *reacting {
	r := &reacting{counts: &counts{n: make(map[string]int)}}
	c.relay.Observer = r
	return r
}

// If NATS takes a later record and then nothing more, nothing is set aside.
func TestNothingIsTakenAnyMore(t *testing.T) {
	t.Parallel()
	var r *reacting
	f, js := suspects(t, 3, 10, func(c *settings) { r = reactingTo(c) })
	r.react = func() { _ = js.DeleteStream(context.Background(), "WEBHOOKS") }
	f.look(t, suspectEvery, publish.WrongStream)
	expect.Equal(t, 1, r.of("spool stored"), "stored")
	expect.Equal(t, 1, r.of("spool duplicate"), "taken again")
	if n, left := f.Spool.Stats().SetAside, f.Spool.Len(publish.Event); n != 0 || left != 4 {
		t.Errorf("%d are set aside, %d wait", n, left)
	}
}

// Records at fault are also found if the stream must be looked up first, and though events keep coming. A
// second look-up would find the record that shows that NATS takes others, which then wouldn't be sent again.
func TestAtFaultWhileLookingUp(t *testing.T) {
	t.Parallel()
	var r *reacting
	f, js := suspects(t, 3, 10, func(c *settings) {
		r = reactingTo(c)
		c.relay.Reach = 50 * time.Hour // longer than the duplicate window
	})
	r.react = func() {
		expect.NoError(t, f.Spool.Append(t.Context(), arrived(message("next"), 0), time.Time{}))
	}
	f.look(t, suspectEvery, publish.WrongStream)
	if n, left := f.Spool.Stats().SetAside, f.Spool.Len(publish.Event); n != 3 || left != 1 {
		t.Errorf("%d are set aside, %d wait", n, left)
	}
	stored(t, js, "good")
}

// behindHub returns a forwarder that doesn't run, at a leaf node whose hub takes smaller messages than the leaf
// node. In the spool are a message that is too large for the hub, "a" and "b".
func behindHub(t *testing.T) (*forwarder, jetstream.JetStream) {
	t.Helper()
	leaves := natsdtest.FreeAddr(t)
	hub := natsdtest.Start(t, fmt.Sprintf("server_name: hub, max_payload: 20000, jetstream { domain: hub }, leafnodes { listen: %q }", leaves))
	leaf := natsdtest.Start(t, fmt.Sprintf("server_name: leaf, jetstream: disabled, leafnodes { remotes: [ { url: %q } ] }", "nats://"+leaves))
	js := natsdtest.Connect(t, hub.URL())
	makeStream(t, js, nil)
	r := start(t, leaf.URL(), unmanaged, func(c *settings) { c.publish.Server.Domain = "hub" }).ready()
	expect.NoError(t, r.Relay.Close(t.Context())) // nobody delivers meanwhile
	for _, m := range []publish.Message{sized("large", 30000), message("a"), message("b")} {
		expect.NoError(t, r.Spool.Append(t.Context(), arrived(m, 0), time.Time{}))
	}
	return newForwarder(r.Relay, publish.Event), js
}

// The hub ends the leaf node's connection at a message that is too large, which is never acknowledged. It must
// not block the others.
func TestTooLargeForHub(t *testing.T) {
	t.Parallel()
	f, js := behindHub(t)
	f.look(t, suspectEvery, publish.TimedOut)
	expect.Equal(t, 1, f.Spool.Stats().SetAside, "records set aside")
	stored(t, js, "a", "b")
}

// Nor must it block others that are set aside.
func TestSetAsideBehindTooLargeForHub(t *testing.T) {
	t.Parallel()
	f, js := behindHub(t)
	records, err := f.Spool.Next(f.kind, 0, 3, maxBytes)
	expect.NoError(t, err)
	for i := range records {
		records[i].Reason = "refused"
	}
	expect.NoError(t, f.Spool.Settle(f.kind, records))
	after := uint64(0)
	poll.Until(t, "the others are delivered", func() bool {
		_, after = f.trySetAside(t.Context(), []*lookup{f.lookup}, after)
		return f.Spool.Stats().SetAside == 1
	})
	stored(t, js, "a", "b")
}

// A leader without followers refuses what it can't store, and still answers that it has a duplicate. That shows
// nothing.
func TestDuplicateShowsNothing(t *testing.T) {
	t.Parallel()
	var r *reacting
	f, js := suspects(t, 3, 10, func(c *settings) { r = reactingTo(c) })
	answers := 0
	r.react = func() { answers++ }
	expect.NoError(t, expect.Err(js.Publish(t.Context(), subject, nil, jetstream.WithMsgID("good"))))
	f.look(t, suspectEvery, publish.WrongStream)
	expect.Equal(t, 2, answers, "answers that it is a duplicate")
	expect.Equal(t, 0, f.Spool.Stats().SetAside, "records set aside")
}

// A bridge that stops hears no more answers. That isn't worth a line.
func TestStoppingWhileLooking(t *testing.T) {
	t.Parallel()
	f, _ := suspects(t, 3, 10)
	core, logs := observer.New(zap.InfoLevel)
	f.Log = zap.New(core)
	first, err := f.Spool.Next(f.kind, 0, 1, maxBytes)
	expect.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	f.setAsideIfAtFault(ctx, first[0], &publish.Error{Cause: publish.WrongStream})
	expect.Equal(t, 0, logs.Len(), "lines")
}
