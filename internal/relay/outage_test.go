package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// load publishes without pause from several senders until it is stopped.
type load struct {
	f       *fixture
	stopped atomic.Bool
	group   sync.WaitGroup
	mu      sync.Mutex
	kept    map[string]bool
	refused int
	slowest time.Duration
	how     map[publish.Status]int
	machine func() time.Duration
}

// machine measures the longest delay of a goroutine that only sleeps; the returned function ends
// the measurement. A machine that stalls can't keep a promise about time.
func machine() func() time.Duration {
	stop, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		longest := time.Duration(0)
		for {
			began := time.Now()
			select {
			case <-stop:
				worst <- longest
				return
			case <-time.After(time.Millisecond):
				longest = max(longest, time.Since(began))
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-worst
	}
}

func (f *fixture) load(senders int) *load {
	l := &load{f: f, kept: make(map[string]bool), how: make(map[publish.Status]int), machine: machine()}
	f.t.Cleanup(func() { // also after a failure, before the relay is closed
		l.stopped.Store(true)
		l.group.Wait()
	})
	for s := range senders {
		l.group.Go(func() {
			for i := 0; !l.stopped.Load(); i++ {
				l.publish(fmt.Sprintf("%d-%d", s, i))
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return l
}

func (l *load) publish(id string) {
	began := time.Now()
	status, err := l.f.Publish(context.Background(), message(id))
	l.mu.Lock()
	defer l.mu.Unlock()
	took := time.Since(began)
	l.slowest = max(l.slowest, took)
	switch {
	case errors.Is(err, publish.ErrUnavailable) && took >= answerBound/2:
		l.refused++ // a disk that is slower than that, under all the other tests, is no fault of the relay's
		return
	case err != nil:
		l.f.t.Errorf("%s was not kept, after %s: %v", id, took, err)
		return
	}
	l.kept[id] = true
	l.how[status]++
}

func (l *load) of(status publish.Status) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.how[status]
}

// stop ends it, and expects that everybody was answered within a second and that every event is
// stored once.
func (l *load) stop(stored func() []string) {
	l.f.t.Helper()
	l.stopped.Store(true)
	l.group.Wait()
	l.f.delivered()
	if held := l.machine(); l.slowest > time.Second+2*held {
		l.f.t.Errorf("the slowest answer took %s, and the machine stood still for %s at the most", l.slowest, held)
	}
	n := make(map[string]int)
	for _, id := range stored() {
		if n[id]++; n[id] > 1 {
			l.f.t.Errorf("%s is stored %d times", id, n[id])
		}
	}
	for id := range l.kept {
		if n[id] == 0 {
			l.f.t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	if l.refused > len(l.kept) {
		l.f.t.Errorf("%d were refused, and %d kept: that is no outage, that is standing still", l.refused, len(l.kept))
	}
	l.f.t.Logf("%d acknowledged, %v, %d refused, slowest %s", len(l.kept), l.how, l.refused, l.slowest)
}

// The leader of a stream with three copies is killed: until there is another one events are
// spooled, and nobody waits.
func TestLeaderGoes(t *testing.T) {
	t.Parallel()
	servers := natsdtest.StartCluster(t, 3, true, "")
	byName := map[string]*natsdtest.Server{"n0": servers[0], "n1": servers[1], "n2": servers[2]}
	f := start(t, natsdtest.URLs(servers), hasty, func(c *settings) { c.publish.Stream.Replicas, c.publish.Quarantine.Replicas = 3, 3 }).ready()
	l := f.load(2)
	poll.Until(t, "under load", func() bool { return l.of(publish.Stored) > 50 })

	js := natsdtest.Connect(t, byName["n0"].URL())
	var killed *natsdtest.Server
	spooled := 0 // before it was killed
	poll.Until(t, "events are spooled", func() bool {
		if killed != nil && l.of(publish.Spooled) > spooled {
			return true
		}
		// On a busy machine another server may lead by the time this one is killed; then that one
		// is next.
		stream, err := js.Stream(t.Context(), "WEBHOOKS")
		if err != nil {
			return false
		}
		if leader := byName[stream.CachedInfo().Cluster.Leader]; leader != nil && leader != killed {
			if killed != nil {
				killed.Start()
			}
			killed, spooled = leader, l.of(publish.Spooled)
			killed.Kill()
		}
		return false
	})
	before := l.of(publish.Stored)
	poll.Until(t, "events go directly again", func() bool { return l.of(publish.Stored) > before+50 })
	killed.Start()
	l.stop(func() []string {
		// A read may be answered by any copy, and the one that was away may not have all messages
		// yet.
		poll.Until(t, "all copies are the same", func() bool {
			stream, err := js.Stream(t.Context(), "WEBHOOKS")
			return err == nil && len(stream.CachedInfo().Cluster.Replicas) == 2 &&
				!slices.ContainsFunc(stream.CachedInfo().Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Lag > 0 })
		})
		return natsdtest.IDs(t, js)
	})
}

// Under a steady flow, too, all events go directly again after an outage.
func TestSteadyFlow(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := start(t, s.URL()).ready()
	var stop atomic.Bool
	var direct atomic.Int64 // events that have gone directly since one went to the spool
	var group sync.WaitGroup
	defer group.Wait()
	defer stop.Store(true)
	for sender := range 8 {
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				time.Sleep(3 * time.Millisecond) // a spool in memory takes events faster than NATS does
				switch status, err := f.Publish(context.Background(), message(fmt.Sprintf("%d-%d", sender, i))); {
				case err != nil:
					t.Errorf("not kept: %v", err)
				case status == publish.Spooled:
					direct.Store(0)
				default:
					direct.Add(1)
				}
			}
		})
	}
	s.Stop()
	poll.Until(t, "events are spooled", func() bool { return f.waiting() > 50 })
	s.Start()
	poll.Until(t, "all events go directly", func() bool { return direct.Load() > 300 })
	poll.Until(t, "the log says that the spool is empty, once for each time that events waited", func() bool {
		return f.logged(sayEmpty) > 0 && f.logged(sayEmpty) == f.logged(sayBegan)
	})
}

// A half-open connection accepts everything and answers nothing.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	hole := newHole(t, s.Addr())
	f := start(t, "nats://"+hole.addr(), hasty).ready()
	l := f.load(2) // more leave a slow machine no time for acknowledgements
	poll.Until(t, "under load", func() bool { return l.of(publish.Stored) > 50 })
	hole.swallows.Store(true)
	poll.Until(t, "events are spooled", func() bool { return l.of(publish.Spooled) > 50 })
	hole.swallows.Store(false) // what it has swallowed is gone; new connections pass
	hole.reset()
	before := l.of(publish.Stored)
	poll.Until(t, "events go directly again", func() bool { return l.of(publish.Stored) > before+50 })
	l.stop(func() []string { return natsdtest.IDs(t, natsdtest.Connect(t, s.URL())) })
}

// hole is a proxy that can drop all traffic.
type hole struct {
	listener net.Listener
	swallows atomic.Bool
	mu       sync.Mutex
	open     []net.Conn
}

func newHole(t *testing.T, to string) *hole {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	h := &hole{listener: listener}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			h.mu.Lock()
			h.open = append(h.open, client, server)
			h.mu.Unlock()
			group.Go(func() { h.copy(client, server) })
			group.Go(func() { h.copy(server, client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		h.reset()
		group.Wait()
	})
	return h
}

func (h *hole) addr() string { return h.listener.Addr().String() }

func (h *hole) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if h.swallows.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// reset breaks every connection.
func (h *hole) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.open {
		_ = c.Close()
	}
	h.open = nil
}

// A backlog is logged while the round that waits for acknowledgements is still under way.
func TestBacklogIsLoggedAtOnce(t *testing.T) {
	t.Parallel()
	s := natsdtest.StartProcess(t, "")
	f := start(t, s.URL(), hasty).ready()
	for range breaksAfter - 1 {
		f.breakers[publish.Event].report(false) // the next failure opens it
	}
	s.Pause()
	f.publishes(publish.Spooled, "a")
	poll.Until(t, "logged", func() bool { return f.logged(sayBegan) > 0 })
	cause := fmt.Sprint(f.logs.FilterMessage(sayBegan).All()[0].ContextMap()["cause"])
	if !strings.HasPrefix(cause, "NATS is connected but publishing fails (timeout)") {
		t.Errorf("the cause, while the connection isn't lost yet: %s", cause)
	}
}

// While NATS is away the spool isn't read again and again. The test isn't parallel, because it measures the
// process.
func TestOutageCostsLittle(t *testing.T) {
	s := natsdtest.New(t, "")
	f := start(t, s.URL())
	fill := func(prefix string) {
		for n := range 300 {
			f.takes(publish.Spooled, sized(fmt.Sprint(prefix, n), 10_000))
		}
	}
	fill("first")
	s.Start() // batches grow
	f.delivered()
	f.ready()
	s.Stop()
	poll.Until(t, "away", func() bool { return f.Publisher.Ready(publish.Event) != nil })
	fill("second")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	time.Sleep(10 * readyCheck)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 5_000_000 {
		t.Errorf("%d bytes were allocated in %s", n, 10*readyCheck)
	}
}
