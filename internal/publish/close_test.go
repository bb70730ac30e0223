package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// answer is the result of a publish in the background.
type answer struct {
	status Status
	err    error
}

// pending publishes while the server is paused, and returns once the acknowledgement is awaited.
func pending(f *fixture) <-chan answer {
	f.t.Helper()
	got := make(chan answer, 1)
	go func() {
		status, err := f.publish("pending")
		got <- answer{status, err}
	}()
	poll.Until(f.t, "an acknowledgement is awaited", func() bool { return f.acks.waiting() == 1 })
	return got
}

func TestCloseAwaitsAcknowledgements(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	f := open(t, s.URL()).connected()
	s.Pause()
	published := pending(f)
	closed := make(chan error, 1)
	go func() { closed <- f.close(context.Background()) }()
	<-f.ctx.Done()
	if _, err := f.publish("late"); !errors.Is(err, ErrUnavailable) || !strings.HasSuffix(err.Error(), ": closing") {
		t.Errorf("publishing while it is closing: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("Close didn't wait: %v", err)
	case got := <-published:
		t.Fatalf("Publish didn't wait: %v", got)
	case <-time.After(50 * time.Millisecond): // long enough to be caught at least now and then
	}
	s.Resume()
	if got := <-published; got.status != Stored || got.err != nil {
		t.Errorf("Publish: %v", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	f.refuses("closed")
}

// Close doesn't wait beyond its context, and callers that wait for an acknowledgement get an error.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	f := open(t, s.URL(), withTimeout(10*time.Minute)).connected()
	s.Pause()
	published := pending(f)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := f.close(ctx); err == nil || err.Error() != "closing publisher: messages without an acknowledgement: 1" {
		t.Errorf("Close: %v", err)
	}
	if got := <-published; !errors.Is(got.err, ErrUnavailable) || !errors.Is(got.err, jetstream.ErrJetStreamPublisherClosed) {
		t.Errorf("Publish: %v", got)
	}
	expect.Within(t, poll.Bound, start, "all of it")
}

// A publish during Close ends with a result or an error.
func TestCloseWhilePublishing(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	for round := range 20 {
		f := open(t, s.URL()).connected()
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for n := 0; ; n++ {
					_, err := f.publish(fmt.Sprint(round, i, n))
					if err != nil {
						if !errors.Is(err, ErrUnavailable) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		if err := f.close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		group.Wait()
	}
}

// Close works in every state, and logs nothing.
func TestCloseAnytime(t *testing.T) {
	t.Parallel()
	up, down := natsdtest.Start(t, ""), natsdtest.New(t, "")
	for name, test := range map[string]struct {
		url  string
		wait func(*fixture)
	}{
		"at once":        {up.URL(), func(*fixture) {}},
		"connected":      {up.URL(), func(f *fixture) { poll.Until(t, "connected", f.IsConnected) }},
		"ready":          {up.URL(), func(f *fixture) { f.connected() }},
		"unreachable":    {down.URL(), func(f *fixture) { poll.Until(t, "tried", func() bool { return f.logged(sayUnreachable) > 0 }) }},
		"down, at once":  {down.URL(), func(*fixture) {}},
		"between trials": {down.URL(), func(f *fixture) { f.tries(2) }},
	} {
		f := open(t, test.url)
		test.wait(f)
		before := len(f.messages())
		if err := f.close(t.Context()); err != nil {
			t.Errorf("Close, %s: %v", name, err)
		}
		if s := f.session.Load(); s != nil {
			<-s.closed
		}
		for _, message := range f.messages()[before:] {
			if strings.Contains(message, "closed") || message == sayDisconnected {
				t.Errorf("%s: logged %q", name, message)
			}
		}
	}
}
