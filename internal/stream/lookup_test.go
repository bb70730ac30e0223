package stream

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// More look-ups than there are names run at the same time: each finds everything, and no consumer is left.
func TestManyLookUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store(0, 1000)
	var finds sync.WaitGroup
	for range 3 * len(LookupNames) {
		finds.Go(func() {
			for {
				found, err := f.find(t.Context(), func(id string) bool { return id != "7" })
				if errors.Is(err, errInUse) {
					continue // the machine is busy
				}
				if err != nil || len(found.IDs) != 999 {
					t.Errorf("found %d, %v", len(found.IDs), err)
				}
				return
			}
		})
	}
	finds.Wait()
	f.awaitNoConsumers(time.Now())
}

// Another reader may take the name of a consumer that is gone. The messages of its consumer are not ours.
func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	const all = 2000 // more than in one request
	f := newFixture(t)
	f.store(0, all)
	stream, err := f.js.Stream(t.Context(), "S")
	expect.NoError(t, err)
	seen, taken := make(map[uint64]bool), false
	r := f.reader(Section{Since: Beginning, Stop: true})
	r.Names = []string{"only"}
	r.Report = func(err error) {
		if errors.Is(err, errInUse) { // the other reader is done
			_ = stream.DeleteConsumer(t.Context(), "only")
		}
	}
	r.Handle = func(m Message) error {
		if seen[m.Sequence] = true; !taken {
			taken = true
			if err := stream.DeleteConsumer(t.Context(), "only"); err != nil {
				return err
			}
			_, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Name: "only", AckPolicy: jetstream.AckNonePolicy})
			return err
		}
		return nil
	}
	if err := r.Run(t.Context()); err != nil || len(seen) != all {
		t.Errorf("%d messages were read, %v", len(seen), err)
	}
}

// A consumer is ours if it was created with our configuration and wasn't created again.
func TestIsStillOurs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store(0, 1)
	r := f.reader(Section{Since: Beginning, Stop: true})
	r.Names = []string{"only"}
	stream, err := r.locate(t.Context())
	expect.NoError(t, err)
	c, err := r.attach(t.Context(), stream)
	expect.NoError(t, err)
	if !r.isStillOurs(t.Context(), stream, c) {
		t.Error("it isn't ours, although we have created it")
	}
	expect.NoError(t, stream.DeleteConsumer(t.Context(), "only"))
	if r.isStillOurs(t.Context(), stream, c) { // in the meantime it may have been another reader's
		t.Error("it is ours, although it was created again")
	}
	r.detach(t.Context(), c)
	poll.Until(t, "create another consumer of that name", func() bool { return expect.Err(r.attach(t.Context(), stream)) == nil })
	if r.isStillOurs(t.Context(), stream, c) {
		t.Error("it is ours, although its name was taken")
	}
}

// If a stream is deleted and created again during a look-up, the old one's messages aren't found.
func TestRecreatedWhileLookingUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store(0, 2000)
	old, err := f.js.Stream(t.Context(), "S")
	expect.NoError(t, err)
	isNew := false
	found, err := f.find(t.Context(), func(string) bool {
		if !isNew {
			isNew = true
			if err := f.js.DeleteStream(t.Context(), "S"); err != nil {
				t.Error(err)
			}
			f.createStream()
			f.store(3000, 3010)
		}
		return true
	})
	expect.NoError(t, err)
	info, err := old.Info(t.Context())
	if err != nil || !found.IsOf(info) {
		t.Errorf("the stream was created at %s, %v", found.Created, err)
	}
	for i := 3000; i < 3010; i++ {
		if found.IDs[fmt.Sprint(i)] == 0 {
			t.Errorf("%d isn't found", i)
		}
	}
	expect.Equal(t, 10, len(found.IDs), "ids found")
}

func TestIsOf(t *testing.T) {
	made := time.Unix(1, 0)
	f := Found{Created: made, Last: 5}
	for _, test := range []struct {
		made time.Time
		last uint64
		want bool
	}{{made, 5, true}, {made, 6, true}, {made, 4, false}, {made.Add(1), 5, false}} {
		info := &jetstream.StreamInfo{Created: test.made, State: jetstream.StreamState{LastSeq: test.last}}
		if got := f.IsOf(info); got != test.want {
			t.Errorf("made at %s, last %d: %t", test.made, test.last, got)
		}
	}
}
