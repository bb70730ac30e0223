package quarantine

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// fill makes a stream with so many deliveries, whose ids begin with a name.
func fill(t *testing.T, js jetstream.JetStream, name string, n int) Store {
	t.Helper()
	found := natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "Q", Subjects: []string{"q-quarantine.>"}, AllowDirect: true})
	for i := range n {
		d := Delivery{ID: fmt.Sprint(name, i), Endpoint: "flock", Provider: "flock", Reason: "stale", Received: time.Now(), Seal: "s", Body: []byte(name)}
		m := d.Message("q")
		header := nats.Header{}
		for _, h := range m.Headers {
			header.Set(h.Name, h.Value)
		}
		expect.NoError(t, expect.Err(js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: header, Data: m.Data})))
	}
	<-js.PublishAsyncComplete()
	return Store{JetStream: js, Stream: found, Consumer: "test-"}
}

// A list is of one stream, even if that is created again while it is read.
func TestListWhileRecreated(t *testing.T) {
	t.Parallel()
	server := natsdtest.Start(t, "")
	js, other := natsdtest.Connect(t, server.URL()), natsdtest.Connect(t, server.URL())
	requests, err := other.Conn().SubscribeSync("$JS.API.CONSUMER.MSG.NEXT.Q.>")
	expect.NoError(t, err)
	expect.NoError(t, other.Conn().Flush())
	poll.Until(t, "a list of the new stream", func() bool { // the old one may have been read before it is deleted
		s, done := fill(t, js, "old", 1000), make(chan struct{})
		go func() {
			defer close(done)
			_, err := requests.NextMsg(poll.Bound)
			expect.NoError(t, err)
			expect.NoError(t, other.DeleteStream(t.Context(), "Q"))
			fill(t, other, "new", 3)
		}()
		all, _, err := s.List(t.Context(), 0)
		expect.NoError(t, err)
		<-done
		expect.NoError(t, js.DeleteStream(t.Context(), "Q"))
		if len(all) != 1000 && len(all) != 3 {
			t.Fatalf("%d deliveries, from %s to %s", len(all), all[0].ID, all[len(all)-1].ID)
		}
		return all[0].ID == "new0"
	})
}

// In a stream that was created again the sequence numbers belong to other deliveries. None of these is read
// or removed in place of an old one.
func TestStoreRecreated(t *testing.T) {
	t.Parallel()
	js := natsdtest.Connect(t, natsdtest.Start(t, "").URL())
	fill := func(name string) Store {
		s := fill(t, js, name, 3)
		expect.NoError(t, expect.Err(js.Publish(t.Context(), "q-quarantine.other", nil)))
		marker := &nats.Msg{Subject: "q-quarantine.other", Header: nats.Header{jetstream.MarkerReasonHeader: {"MaxAge"}}} // the stream's own
		expect.NoError(t, expect.Err(js.PublishMsg(t.Context(), marker)))
		return s
	}
	ids := func(s Store, last uint64) (ids []string) {
		all, foreign, err := s.List(t.Context(), last)
		if err != nil || foreign != 1 {
			t.Fatalf("%d foreign, %v", foreign, err)
		}
		for _, k := range all {
			ids = append(ids, fmt.Sprint(k.ID, " ", k.Sequence, " ", k.Size))
		}
		return ids
	}
	s := fill("old")
	expect.Equal(t, []string{"old0 1 3", "old1 2 3", "old2 3 3"}, ids(s, 0), "the deliveries")
	expect.Equal(t, []string{"old2 3 3"}, ids(s, 3), "the deliveries")
	all, _, err := s.List(t.Context(), 0)
	expect.NoError(t, err)
	if d, err := s.Get(t.Context(), all[1]); err != nil || string(d.Body) != "old" {
		t.Errorf("got %s, %v, want the old delivery", d.Body, err)
	}
	if err := s.Remove(t.Context(), all[0]); err != nil {
		t.Error(err)
	}
	expect.Equal(t, []string{"old1 2 3", "old2 3 3"}, ids(s, 0), "the deliveries")
	expect.NoError(t, s.Remove(t.Context(), all[2]))
	again := time.Now()
	for range 20 { // as if two operators release everything
		expect.ErrorIs(t, ErrGone, expect.Err(s.Get(t.Context(), all[2])), "read")
		expect.NoError(t, s.Remove(t.Context(), all[2]))
	}
	expect.Within(t, 2*time.Second, again, "reading and removing what is gone, 20 times,")
	expect.NoError(t, expect.Err(s.Stream.Info(t.Context())))
	expect.Equal(t, []string{"old1 2 3"}, ids(s, 3), "the newest ones, one between them is removed")
	expect.NoError(t, js.DeleteStream(t.Context(), "Q"))
	fill("new")
	expect.ErrorIs(t, ErrGone, expect.Err(s.Get(t.Context(), all[1])), "read")
	if err := s.Remove(t.Context(), all[1]); err != nil {
		t.Error(err)
	}
	expect.Equal(t, []string{"new0 1 3", "new1 2 3", "new2 3 3"}, ids(s, 0), "the deliveries")
}
