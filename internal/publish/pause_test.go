package publish

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// While a server is paused, before and after that is noticed, every answer comes within the second
// that a sender allows. Afterwards every acknowledged message is stored, and none twice.
func TestAnswersWhileServerIsPaused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ servers, publishers, size int }{
		"one server":                      {1, 16, 100},
		"several servers":                 {2, 16, 100},
		"more than the socket takes":      {1, 64, 20_000},
		"more, and another server paused": {2, 64, 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.StartProcess(t, "")
			urls := []string{s.URL()}
			for range test.servers - 1 {
				silent := natsdtest.StartProcess(t, "")
				silent.Pause()
				urls = append(urls, silent.URL())
			}
			f := open(t, strings.Join(urls, ","), withTimeout(400*time.Millisecond)).connected()

			var mu sync.Mutex
			sent, acknowledged := map[string]bool{}, map[string]bool{}
			var slowest time.Duration
			data := make([]byte, test.size)
			publish := func(id string) error {
				start := time.Now()
				_, err := f.Publish(t.Context(), Message{Subject: subject, ID: id, Data: data})
				took := time.Since(start)
				mu.Lock()
				defer mu.Unlock()
				sent[id] = true
				acknowledged[id] = acknowledged[id] || err == nil
				slowest = max(slowest, took)
				return err
			}
			var stop atomic.Bool
			var group sync.WaitGroup
			for i := range test.publishers {
				group.Go(func() {
					for n := 0; !stop.Load(); n++ {
						if publish(fmt.Sprintf("%d.%d", i, n)) != nil {
							time.Sleep(20 * time.Millisecond)
						}
						time.Sleep(5 * time.Millisecond)
					}
				})
			}
			var slowestProbe time.Duration
			group.Go(func() {
				for !stop.Load() {
					start := time.Now()
					_, _ = f.Ready(), f.IsConnected()
					slowestProbe = max(slowestProbe, time.Since(start))
					time.Sleep(time.Millisecond)
				}
			})

			// On a slow machine even a mere wait for the time-out takes longer.
			var slowestWait time.Duration
			group.Go(func() {
				for !stop.Load() {
					start := time.Now()
					time.Sleep(400 * time.Millisecond)
					slowestWait = max(slowestWait, time.Since(start))
				}
			})

			start := time.Now()
			s.Pause()
			poll.Until(t, "the loss is noticed", func() bool { return f.logged(sayDisconnected) == 1 })
			noticed := time.Since(start)
			f.tries(2)
			f.refuses("paused")
			s.Resume()
			f.connected()
			poll.Until(t, "an acknowledgement", func() bool { return publish("resumed") == nil })
			stop.Store(true)
			group.Wait()
			t.Logf("%d publishes, the slowest answer came after %s, to a probe after %s; the loss was noticed after %s", len(sent), slowest, slowestProbe, noticed)
			if bound := slowestWait + 600*time.Millisecond; slowest > bound || slowestProbe > bound {
				t.Errorf("the slowest answer came after %s, to a probe after %s, at most %s are allowed", slowest, slowestProbe, bound)
			}

			said := slices.DeleteFunc(f.messages(), func(m string) bool { return m == sayUnreachable })
			expect.Equal(t, []string{sayConnected, sayMade, sayReady, sayDisconnected, sayConnected, sayReady}, said, "logged")
			seen := make(map[string]int)
			for _, id := range natsdtest.IDs(t, natsdtest.Connect(t, s.URL())) {
				seen[id]++
			}
			var unknown, twice, missing []string
			for id, n := range seen {
				if !sent[id] {
					unknown = append(unknown, id)
				}
				if n > 1 {
					twice = append(twice, id)
				}
			}
			for id, is := range acknowledged {
				if is && seen[id] == 0 {
					missing = append(missing, id)
				}
			}
			if unknown != nil || twice != nil || missing != nil {
				t.Errorf("stored: unknown %q, twice %q, acknowledged but missing %q", unknown, twice, missing)
			}
		})
	}
}
