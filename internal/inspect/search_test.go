package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// part searches one part of the stream.
func (f *fixture) part(ctx context.Context, values string) (p part, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/api/search?"+values, nil)
	if err != nil {
		return part{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return part{}, err
	}
	defer response.Body.Close()
	if err = json.NewDecoder(response.Body).Decode(&p); err == nil && strings.Contains(p.Problem, errSlow.Error()) {
		return f.part(ctx, values) // the machine is busy: search again
	}
	return p, err
}

// search searches the stream as the page does, and returns the ids that it finds, newest first, and
// the last part.
func (f *fixture) search(values string) (ids []string, last part) {
	f.t.Helper()
	read := 0
	for begin := values; ; values = fmt.Sprintf("%s&before=%d&streamCreated=%s", begin, last.Before, last.StreamCreated.Format(time.RFC3339Nano)) {
		var err error
		if last, err = f.part(f.t.Context(), values); err != nil {
			f.t.Fatal(err)
		}
		for _, e := range slices.Backward(last.Events) {
			ids = append(ids, e.Event.ID)
		}
		read += last.Read
		if begin, _, _ = strings.Cut(begin, "&before="); last.Problem != "" || last.Before <= last.First {
			last.Read = read
			return ids, last
		}
	}
}

func numbered(i, users int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"e%d","source":"/webhooks/flock","type":"com.withflock.a","provider":"flock","event":"a","userid":"u%04d","datacontenttype":"application/json","receivedtime":"2026-01-02T03:04:05Z","signed":"payload","data":{}}`, i, i%users)
}

// publishNumbered publishes n events, of so many users in turn.
func (f *fixture) publishNumbered(n, users int) {
	f.t.Helper()
	for i := range n {
		expect.NoError(f.t, expect.Err(f.js.PublishAsync("webhooks.flock.a", []byte(numbered(i, users)))))
		if i%1000 < 999 && i < n-1 {
			continue
		}
		select {
		case <-f.js.PublishAsyncComplete():
		case <-time.After(poll.Bound):
			f.t.Fatal("publishing takes too long")
		}
	}
}

// lookupRights returns the subjects on which the user bridge-lookup in deploy/nats/accounts.conf may publish
// to look up events.
func lookupRights() []string {
	rights := []string{"$JS.API.STREAM.INFO.WEBHOOKS"}
	for _, name := range stream.LookupNames {
		for _, api := range []string{"CREATE", "MSG.NEXT", "DELETE"} {
			rights = append(rights, "$JS.API.CONSUMER."+api+".WEBHOOKS."+name)
		}
	}
	return rights
}

// ids returns the ids of events with these numbers.
func ids(numbers ...int) (all []string) {
	for _, n := range numbers {
		all = append(all, fmt.Sprintf("e%d", n))
	}
	return all
}

// The rights for look-ups suffice to find events that the page doesn't hold. No consumer is left.
func TestSearch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, lookupRights()...)
	f.createStreams()
	f.publishNumbered(12_000, 4000)
	stored, err := f.js.Stream(t.Context(), "WEBHOOKS")
	expect.NoError(t, err)
	made := stored.CachedInfo().Created.Format(time.RFC3339Nano)
	for _, test := range []struct {
		values string
		want   []string
	}{
		{"search=user:u0017", ids(8017, 4017, 17)},
		{"search=user:u0017&before=8018&streamCreated=" + made, ids(4017, 17)},
		{"search=user:u0017&before=8018&streamCreated=2026-01-02T03:04:05Z", ids(8017, 4017, 17)}, // of another stream
		{"search=id:e11999", ids(11999)},
		{"search=subject:flock.a+u0017&provider=flock&event=a", ids(8017, 4017, 17)},
		{"search=user:u0017&provider=frigade", nil},
	} {
		got, last := f.search("size=2500&" + test.values)
		if !slices.Equal(got, test.want) || last.Problem != "" {
			t.Errorf("%s: found %q, want %q; %s", test.values, got, test.want, last.Problem)
		}
		if last.Before != 1 || last.Read != 12_000 && last.Read != 8017 {
			t.Errorf("%s: read %d, to %d", test.values, last.Read, last.Before)
		}
	}
	start := time.Now()
	poll.Until(t, "no consumer is left", func() bool { // an answer to its deletion may come late
		info, err := stored.Info(t.Context())
		return err == nil && info.State.Consumers == 0
	})
	expect.Within(t, 15*time.Second, start, "removing the consumers, which the server would do after 30 s")
}

// A part has no more events than a page can hold, and the next one has the rest.
func TestSearchGoesOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createStreams()
	f.publish(1, cloudEvent)
	large := strings.Replace(numbered(0, 1), "{}", `"`+strings.Repeat("x", maxFoundBytes/16)+`"`, 1)
	f.publish(20, large)
	f.publishNumbered(maxFound+100, 1)
	before, values := uint64(1+20+maxFound+100+1), "size=1000000"
	for _, want := range []int{maxFound, 100 + 15, 5 + 1} {
		p, err := f.part(t.Context(), values)
		if err != nil || p.Problem != "" || len(p.Events) != want || p.Before != before-uint64(want) || p.First != 1 {
			t.Fatalf("found %d before %d, want %d; to %d, %v, %s", len(p.Events), before, want, p.Before, err, p.Problem)
		}
		before = p.Before
		values = fmt.Sprintf("size=1000000&before=%d&streamCreated=%s", before, p.StreamCreated.Format(time.RFC3339Nano))
	}
}

func TestSearchFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "$JS.API.STREAM.INFO.WEBHOOKS")
	problem := func(want string) {
		t.Helper()
		if _, last := f.search("size=1000"); !strings.Contains(last.Problem, want) {
			t.Errorf("%+v, want %q", last, want)
		}
	}
	problem("Stream WEBHOOKS does not exist.")
	f.createStreams()
	f.publish(1, cloudEvent)
	problem("Our account has no right to publish on $JS.API.CONSUMER.CREATE.WEBHOOKS.bridge-lookup-")
	f.nats.Reload(serverConfig(lookupRights()))
	if got, last := f.search("size=1000"); len(got) != 1 || last.Problem != "" {
		t.Errorf("found %q; %+v", got, last)
	}
	f.nats.Stop()
	poll.Until(t, "disconnected", func() bool { return !f.server.conn.IsConnected() })
	problem("NATS is away")
}

// A search ends before its timeout if NATS goes away.
func TestSearchLosesNATS(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createStreams()
	f.publishNumbered(60_000, 1000)
	poll.Until(t, "a search loses NATS, and ends soon", func() bool { // it may end before it loses NATS
		poll.Until(t, "connected", f.server.conn.IsConnected)
		began, found := time.Now(), make(chan part, 1)
		go func() {
			p, err := f.part(t.Context(), "search=user:nobody&size=100000")
			expect.NoError(t, err)
			found <- p
		}()
		poll.Until(t, "search", func() bool { return len(f.server.searches) == 1 || len(found) == 1 })
		f.nats.Stop()
		defer f.nats.Start()
		p := <-found
		// Otherwise it had not begun to read, or the machine is busy.
		return p.First > 0 && strings.HasPrefix(p.Problem, "NATS is away") && time.Since(began) < searchTimeout/2
	})
}

// A search ends with its request, also while NATS is silent.
func TestSearchIsCancelled(t *testing.T) {
	t.Parallel()
	f := newFixtureOn(t, natsdtest.StartProcess(t, serverConfig(nil)))
	f.createStreams()
	f.publishNumbered(60_000, 1000)
	poll.Until(t, "a search is cancelled", func() bool { // it may end before it is cancelled
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := f.part(ctx, "search=user:nobody&size=100000")
			ended <- err
		}()
		poll.Until(t, "search", func() bool { return len(f.server.searches) == 1 || len(ended) == 1 })
		f.nats.Pause()
		defer f.nats.Resume()
		cancel()
		err := <-ended
		poll.Until(t, "end", func() bool { return len(f.server.searches) == 0 })
		return errors.Is(err, context.Canceled)
	})
}
