package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// searching is a search as the page sees it.
type searching struct {
	page
	cancel context.CancelFunc
}

func (w *world) search(values string) *searching {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/api/search?"+values, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &searching{*w.feedOf(request), cancel}
}

// all returns the ids that are found, newest first, and the conclusion.
func (s *searching) all() (ids []string, last found, end conclusion) {
	s.t.Helper()
	for {
		name, data := s.any()
		if name == "end" {
			if err := json.Unmarshal(data, &end); err != nil {
				s.t.Fatal(err)
			}
			return ids, last, end
		}
		last = found{}
		if err := json.Unmarshal(data, &last); err != nil {
			s.t.Fatal(err)
		}
		for _, e := range slices.Backward(last.Events) {
			ids = append(ids, e.Event.ID)
		}
	}
}

func numbered(i, users int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"e%d","source":"/webhooks/flock","type":"com.withflock.a","provider":"flock","event":"a","userid":"u%04d","datacontenttype":"application/json","receivedtime":"2026-01-02T03:04:05Z","signed":"payload","data":{}}`, i, i%users)
}

// publishNumbered stores events of so many users in turn.
func (w *world) publishNumbered(n, users int) {
	w.t.Helper()
	for i := range n {
		if _, err := w.js.PublishAsync("webhooks.flock.a", []byte(numbered(i, users))); err != nil {
			w.t.Fatal(err)
		}
		if i%1000 < 999 && i < n-1 {
			continue
		}
		select {
		case <-w.js.PublishAsyncComplete():
		case <-time.After(time.Minute):
			w.t.Fatal("publishing takes too long")
		}
	}
}

// lookupRights are what the look-up account of deploy/nats/accounts.conf may publish on, to read.
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

// The rights of the look-up user suffice to find events that the page doesn't hold, and no consumer
// is left.
func TestSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, lookupRights()...)
	w.streams()
	w.publishNumbered(12_000, 4000)
	stored, err := w.js.Stream(t.Context(), "WEBHOOKS")
	if err != nil {
		t.Fatal(err)
	}
	made := strconv.FormatInt(stored.CachedInfo().Created.UnixNano(), 10)
	for _, test := range []struct {
		values string
		want   []string
	}{
		{"search=user:u0017", ids(8017, 4017, 17)},
		{"search=user:u0017&before=8018&made=" + made, ids(4017, 17)},
		{"search=user:u0017&before=8018&made=7", ids(8017, 4017, 17)}, // of another stream
		{"search=id:e11999", ids(11999)},
		{"search=subject:flock.a+u0017&provider=flock&event=a", ids(8017, 4017, 17)},
		{"search=user:u0017&provider=frigade", nil},
	} {
		got, last, end := w.search(test.values).all()
		if !slices.Equal(got, test.want) || !end.Whole || end.Problem != "" {
			t.Errorf("%s: found %q, want %q; %+v", test.values, got, test.want, end)
		}
		if last.Before != 1 || last.Share != 1 || last.Read != 12_000 && last.Read != 8017 {
			t.Errorf("%s: ended with %+v", test.values, last)
		}
	}
	for info := range stored.ListConsumers(t.Context()).Info() {
		t.Errorf("consumer %s is left", info.Name)
	}
}

// A search ends when it has found as much as a page can hold, and can be continued from there.
func TestSearchGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.streams()
	w.publish(1, cloudEvent)
	large := strings.Replace(numbered(0, 1), "{}", `"`+strings.Repeat("x", maxFoundBytes/16)+`"`, 1)
	w.publish(20, large)
	w.publishNumbered(maxFound+100, 1)
	stored, err := w.js.Stream(t.Context(), "WEBHOOKS")
	if err != nil {
		t.Fatal(err)
	}
	made := stored.CachedInfo().Created.UnixNano()
	before := uint64(1 + 20 + maxFound + 100 + 1)
	for _, want := range []int{maxFound, 100 + 15, 5 + 1} {
		got, last, end := w.search(fmt.Sprintf("before=%d&made=%d", before, made)).all()
		if len(got) != want || last.Before != before-uint64(want) || end.Whole != (last.Before == 1) {
			t.Errorf("found %d before %d, want %d; %+v", len(got), last.Before, want, end)
		}
		before = last.Before
	}
}

func TestSearchFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, "$JS.API.STREAM.INFO.WEBHOOKS")
	problem := func(want string) {
		t.Helper()
		if _, _, end := w.search("").all(); end.Whole || !strings.Contains(end.Problem, want) {
			t.Errorf("%+v, want %q", end, want)
		}
	}
	problem("Stream WEBHOOKS does not exist.")
	w.streams()
	w.publish(1, cloudEvent)
	problem("Our account has no right to publish on $JS.API.CONSUMER.CREATE.WEBHOOKS.bridge-lookup-")
	w.nats.Reload(configured(lookupRights()))
	if got, _, end := w.search("").all(); len(got) != 1 || !end.Whole {
		t.Errorf("found %q; %+v", got, end)
	}
	w.nats.Stop()
	problem("NATS is away")
}

// A search ends with its request, also while NATS is silent.
func TestSearchIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, natsdtest.StartProcess(t, configured(nil)), nil)
	w.streams()
	w.publishNumbered(60_000, 1000)
	s := w.search("search=user:nobody")
	s.next("found")
	w.nats.Pause()
	defer w.nats.Resume()
	if len(w.server.searches) != 1 {
		t.Fatal("the search is over before NATS is paused")
	}
	s.cancel()
	for end := time.Now().Add(10 * time.Second); len(w.server.searches) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it goes on")
		}
	}
}
