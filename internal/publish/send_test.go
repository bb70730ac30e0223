package publish

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// A message that was refused while it waited in the send queue is not sent any more: nothing is
// stored after its refusal.
func TestSendQueueDropsWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	var began []outgoing
	for _, id := range []string{"lost", "sent"} {
		m := message(id)
		o, err := f.begin(m, f.config.Timeout)
		expect.NoError(t, err)
		f.queue.put(o)
		began = append(began, o)
		if id == "lost" {
			f.acks.fail(nats.ErrDisconnected)
		}
	}
	f.flush()
	if o := <-began[0].done; !errors.Is(o.Err, nats.ErrDisconnected) {
		t.Errorf("lost: %+v", o)
	}
	if o := <-began[1].done; o.Err != nil {
		t.Errorf("sent: %+v", o)
	}
	expect.Equal(t, []string{"sent"}, natsdtest.IDs(t, natsdtest.Connect(t, s.URL())), "stored")
}

// Messages in the send queue are refused as soon as the connection is lost.
func TestSendQueueWithoutConnection(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), withTimeout(10*time.Minute)).connected()
	sent, err := f.begin(message("1"), f.config.Timeout)
	expect.NoError(t, err)
	f.queue.put(sent)
	s.Stop()
	poll.Until(t, "disconnected", func() bool { return !f.IsConnected() })
	f.flush()
	if o := <-sent.done; o.Err == nil {
		t.Error("it was acknowledged")
	}
}

// A batch keeps its order while others publish.
func TestSendQueueKeepsOrder(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	const publishers, batches, size = 4, 10, 20
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() {
			for b := range batches {
				var messages []Message
				for n := range size {
					messages = append(messages, message(fmt.Sprintf("%d %03d", p, b*size+n)))
				}
				for _, r := range f.PublishAll(t.Context(), messages) {
					if r.Err != nil {
						t.Error(r.Err)
					}
				}
			}
		})
	}
	group.Wait()
	got := natsdtest.IDs(t, natsdtest.Connect(t, s.URL()))
	if len(got) != publishers*batches*size {
		t.Fatalf("%d are stored", len(got))
	}
	last := make(map[byte]string)
	for _, id := range got {
		if id <= last[id[0]] {
			t.Errorf("%s was stored after %s", id, last[id[0]])
		}
		last[id[0]] = id
	}
}

// Once a message is stored its data may be overwritten by the next one, whatever others do
// meanwhile.
func TestDataIsFreeOnceStored(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	const publishers, each = 16, 50
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() {
			data := make([]byte, 0, 64)
			for i := range each {
				m := message(fmt.Sprintf("%d-%d", p, i))
				m.Data = append(data[:0], m.ID...)
				if status, err := f.Publish(t.Context(), m); status != Stored || err != nil {
					t.Errorf("%s: got %q, %v, want it stored", m.ID, status, err)
				}
			}
		})
	}
	group.Wait()
	stream, err := natsdtest.Connect(t, s.URL()).Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	for sequence := range uint64(publishers * each) {
		m := natsdtest.Message(t, stream, sequence+1)
		if id := m.Header.Get(jetstream.MsgIDHeader); string(m.Data) != id {
			t.Errorf("%s has the data of %s", id, m.Data)
		}
	}
}
