package publish

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// A thousand publishes that fail together cause only a few checks.
func TestChecksAreFew(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), unmanaged)
	poll.Until(t, "the error", func() bool { return f.logged(sayNotReady) == 1 })
	js := natsdtest.Connect(t, s.URL())
	start := time.Now()
	requests, err := js.Conn().SubscribeSync("$JS.API.STREAM.INFO.WEBHOOKS")
	expect.NoError(t, err)
	expect.NoError(t, js.Conn().Flush())
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			for range 20 {
				f.refuses("1")
			}
		})
	}
	group.Wait()
	expect.NoError(t, js.Conn().Flush())
	n, _, err := requests.Pending()
	if most := 2 + int(time.Since(start)/firstRetry); err != nil || n > most {
		t.Errorf("%d checks for 1000 failures, want at most %d; %v", n, most, err)
	}
	if f.logged(sayNotReady) != 1 {
		t.Errorf("logged %q", f.messages())
	}
}

// A check counts for the connection on which it was made.
func TestCheckIsOfItsConnection(t *testing.T) {
	t.Parallel()
	first, second := new(session), new(session)
	m := newMonitor(Config{Log: zap.NewNop()}, Stream{})
	expect.ErrorIs(t, errUnchecked, m.ready(first), "before the first check")
	m.succeeded(first, found{}, 1)
	if err := m.ready(first); err != nil {
		t.Errorf("checked: %v", err)
	}
	if err := m.ready(second); err == nil {
		t.Error("it counts for the next connection")
	}
	if err := m.ready(nil); err == nil {
		t.Error("it counts without a connection")
	}
	broken := errors.New("broken")
	m.failed(first, time.Now(), found{}, context.DeadlineExceeded)
	expect.NoError(t, m.ready(first))
	m.failed(first, time.Now(), found{isMissing: true}, context.DeadlineExceeded)
	expect.ErrorIs(t, context.DeadlineExceeded, m.ready(first), "the stream was missing and could not be created")
	m.failed(first, time.Now(), found{}, broken)
	expect.ErrorIs(t, broken, m.ready(first), "failed")
}

// A missing leader is logged as an error only if it lasts longer than an election, and then once. Other
// failures are logged at once.
func TestElectionIsNoError(t *testing.T) {
	t.Parallel()
	noLeader := &jetstream.APIError{ErrorCode: 10008, Description: "JetStream system temporarily unavailable"}
	for _, c := range []struct {
		name   string
		err    error
		lasts  time.Duration
		errors int
	}{
		{"an election that is not answered", context.DeadlineExceeded, ElectionGrace - time.Second, 0},
		{"an election", noLeader, ElectionGrace - time.Second, 0},
		{"servers that are still starting", errNoPeers, ElectionGrace - time.Second, 0},
		{"no leader", noLeader, ElectionGrace, 1},
		{"no answer", context.DeadlineExceeded, ElectionGrace, 1},
		{"another failure", errors.New("broken"), 0, 1},
	} {
		core, logs := observer.New(zap.InfoLevel)
		m := newMonitor(Config{Log: zap.New(core)}, Stream{})
		for range 2 {
			m.failed(new(session), time.Now().Add(-c.lasts), found{}, c.err)
		}
		expect.Equal(t, c.errors, logs.FilterMessage(sayNotReady).Len(), "%s: errors", c.name)
		expect.ErrorIs(t, c.err, m.ready(new(session)), "%s", c.name)
	}
}

// A check ends with its connection: the next one begins at once, and nothing is logged about a
// stream that was not checked.
func TestCheckEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	f := open(t, s.URL()).connected()
	poll.Until(t, "the next check has succeeded before the time-out of the last", func() bool { // once is enough: a busy machine may be slow
		before := f.session.Load()
		s.Pause()
		start := time.Now()
		f.monitors[Event].check()
		poll.Until(t, "the check has begun", func() bool { return len(f.monitors[Event].requests) == 0 })
		s.Kill()
		s.Start()
		poll.Until(t, "connected again", func() bool { c, _ := f.Publisher.connected(); return c != nil && c != before })
		f.connected()
		return time.Since(start) < checkTimeout
	})
	if f.logged(sayNotReady) > 0 {
		t.Errorf("an error was logged: %q", f.messages())
	}
}

// A difference is logged once; another one is logged again.
func TestMonitorSaysDifferencesOnce(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	js := natsdtest.Connect(t, s.URL())
	change := func(age time.Duration) {
		t.Helper()
		config := f.config.Stream.Config()
		config.MaxAge = age
		expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), config)))
		f.monitors[Event].check()
	}
	change(200 * time.Hour)
	poll.Until(t, "the first", func() bool { return f.logged(sayDiffers) == 1 })
	change(200 * time.Hour)
	change(300 * time.Hour)
	poll.Until(t, "the second", func() bool { return f.logged(sayDiffers) == 2 })
	change(168 * time.Hour)
	poll.Until(t, "none", func() bool { return len(f.monitors[Event].requests) == 0 })
	if got := slices.DeleteFunc(f.messages(), func(m string) bool { return m == sayDiffers }); len(got) != 2 {
		t.Errorf("logged %q", f.messages())
	}
}

// A server that is restarted in order shuts JetStream down before it closes its connections. That is not
// logged as an error.
func TestNoErrorFromLameDuck(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "lame_duck_duration: 30s, lame_duck_grace_period: 600ms")
	f := open(t, s.URL()).connected()
	stop := make(chan struct{})
	var checks sync.WaitGroup
	checks.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				f.monitors[Event].check()
			}
		}
	})
	for range 3 {
		before := f.session.Load()
		s.LameDuck()
		s.Start()
		poll.Until(t, "connected again", func() bool { c, _ := f.Publisher.connected(); return c != nil && c != before })
		f.connected()
	}
	close(stop)
	checks.Wait()
	if f.logged(sayNotReady) > 0 {
		t.Errorf("an error was logged: %v", f.logs.FilterMessage(sayNotReady).All())
	}
}
