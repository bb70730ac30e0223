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

// More look-ups than there are names run at one time: each finds everything, and no consumer stays.
func TestManyLookUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store(0, 1000)
	var finds sync.WaitGroup
	for range 3 * len(LookupNames) {
		finds.Go(func() {
			for {
				found, err := w.find(t.Context(), func(id string) bool { return id != "7" })
				if errors.Is(err, errInUse) {
					continue // a busy machine
				}
				if err != nil || len(found.IDs) != 999 {
					t.Errorf("found %d, %v", len(found.IDs), err)
				}
				return
			}
		})
	}
	finds.Wait()
	w.noConsumers(time.Now())
}

// Another reader may take the name of a consumer that is gone. Its messages aren't taken for ours.
func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	const all = 2000 // more than are on their way at one time
	w := newWorld(t)
	w.store(0, all)
	stream, err := w.js.Stream(t.Context(), "S")
	expect.NoError(t, err)
	seen, taken := make(map[uint64]bool), false
	r := w.reader(Section{Since: Beginning, Stop: true})
	r.Names = []string{"only"}
	r.Report = func(err error) {
		if errors.Is(err, errInUse) { // it is given back
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

// A consumer is recognised by its configuration alone.
func TestIsStillOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store(0, 1)
	r := w.reader(Section{Since: Beginning, Stop: true})
	r.Names = []string{"only"}
	stream, err := r.locate(t.Context())
	expect.NoError(t, err)
	c, err := r.attach(t.Context(), stream)
	expect.NoError(t, err)
	if !r.isStillOurs(t.Context(), stream, c) {
		t.Error("it is ours")
	}
	expect.NoError(t, stream.DeleteConsumer(t.Context(), "only"))
	if r.isStillOurs(t.Context(), stream, c) { // it has just been made again, and may have been another's between
		t.Error("it is another one")
	}
	r.detach(t.Context(), c)
	poll.Until(t, "another one of that name", func() bool { return expect.Err(r.attach(t.Context(), stream)) == nil })
	if r.isStillOurs(t.Context(), stream, c) {
		t.Error("it is another's")
	}
}

// If a stream is deleted and created again during a look-up, the old one's messages aren't found.
func TestRecreatedWhileLookingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store(0, 2000)
	old, err := w.js.Stream(t.Context(), "S")
	expect.NoError(t, err)
	anew := false
	found, err := w.find(t.Context(), func(string) bool {
		if !anew {
			anew = true
			if err := w.js.DeleteStream(t.Context(), "S"); err != nil {
				t.Error(err)
			}
			w.make()
			w.store(3000, 3010)
		}
		return true
	})
	expect.NoError(t, err)
	info, err := old.Info(t.Context())
	if err != nil || !found.IsOf(info) {
		t.Errorf("it was made at %s, %v", found.Created, err)
	}
	for i := 3000; i < 3010; i++ {
		if !found.IDs[fmt.Sprint(i)] {
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
