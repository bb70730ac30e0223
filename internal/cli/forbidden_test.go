package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// NATS doesn't answer forbidden requests. A command ends when NATS reports one, with an error that names
// the missing right.
func TestForbidden(t *testing.T) {
	info := "$JS.API.STREAM.INFO.WEBHOOKS"
	for _, c := range []struct {
		args    []string
		rights  []string
		missing string
	}{
		{[]string{"tail"}, []string{"webhooks.>"}, info},
		{[]string{"tail", "--follow=false"}, []string{info}, "$JS.API.CONSUMER.CREATE.WEBHOOKS.bridge-tail-"},
		{[]string{"show", "5e0c"}, []string{info}, "$JS.API.CONSUMER.CREATE.WEBHOOKS.bridge-tail-"},
		{[]string{"forward", "--to", "http://127.0.0.1:1", "--durable", "mine"}, []string{info}, "$JS.API.CONSUMER.INFO.WEBHOOKS.forward-mine"},
	} {
		t.Run(strings.Join(c.args[:1], " ")+" without "+c.missing, func(t *testing.T) {
			f := newFixture(t, c.rights)
			f.put(publish.Message{Subject: "webhooks.flock.a"}, "")
			poll.Until(t, "it ends before a request without an answer does", func() bool {
				began := time.Now()
				if _, stderr := f.run("", 1, c.args...); !strings.Contains(stderr, c.missing) || !strings.Contains(stderr, "docs/operations.md") {
					t.Error(stderr)
				}
				return time.Since(began) < 4*time.Second
			})
		})
	}
}

func TestForbiddenInbox(t *testing.T) {
	f := newFixture(t, []string{"webhooks.>"})
	f.environ = slices.DeleteFunc(f.environ, func(v string) bool { return strings.HasPrefix(v, "NATS_INBOX_PREFIX=") })
	if _, stderr := f.run("", 1, "tail", "--follow=false"); !strings.Contains(stderr, "NATS_INBOX_PREFIX") {
		t.Error(stderr)
	}
}

// Commands that read the stream need no more than the rights that docs/operations.md names.
func TestReadersRights(t *testing.T) {
	t.Parallel()
	posted := make(chan string, 2)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- string(body)
	}))
	defer service.Close()
	info := []string{"$JS.API.STREAM.INFO.WEBHOOKS", "$JS.API.STREAM.INFO.WEBHOOKS_QUARANTINE"}
	get := []string{"$JS.API.DIRECT.GET.WEBHOOKS", "$JS.API.DIRECT.GET.WEBHOOKS_QUARANTINE"}
	// The stream itself stores such a message when the last one of a subject is gone. It is passed over.
	marker := publish.Message{Subject: "webhooks.flock.a", Headers: []publish.Header{{Name: jetstream.MarkerReasonHeader, Value: "MaxAge"}}}
	for _, test := range []struct {
		rights [][]string
		args   string
	}{
		{[][]string{info[:1], mayLookUp}, "tail --since 1h --follow=false --json"},
		{[][]string{info[:1], mayLookUp}, "forward --since 1h --to " + service.URL},
		{[][]string{info, mayLookUp, mayList, get}, "show 5e0c"},
	} {
		f := newFixture(t, test.rights...)
		f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, "5e0c")
		f.put(marker, "")
		out, words := f.run("", exitOK, strings.Fields(test.args)...)
		if strings.HasPrefix(test.args, "forward") {
			out = <-posted
		}
		if !strings.Contains(out, `"id":`) || strings.Contains(words, "skipping") {
			t.Errorf("bridge %s: %s%s", test.args, out, words)
		}
	}
	f := newFixture(t, info[:1], mayLookUp, []string{"$JS.API.CONSUMER.INFO.WEBHOOKS.>", "$JS.ACK.WEBHOOKS.>"})
	for range 3 { // skipped, without the right to store dead letters
		f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte("{}")}, "")
	}
	f.put(marker, "")
	f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, "5e0c")
	tries := 0
	poll.Until(t, "it ends before a dead letter that NATS may not have would be given up, after 10 s", func() bool {
		tries++ // more than one on a busy machine
		durable := fmt.Sprint("laptop", tries)
		ctx, interrupt := context.WithTimeout(t.Context(), bound)
		go func() {
			defer interrupt()
			expect.Equal(t, anEvent, <-posted, "the event that is posted")
			poll.Until(t, "all are acknowledged", func() bool {
				c, err := f.js.Consumer(ctx, "WEBHOOKS", "forward-"+durable)
				return err == nil && c.CachedInfo().AckFloor.Stream == 5
			})
		}()
		args := strings.Fields("forward --durable " + durable + " --since 1h --to " + service.URL)
		var stderr strings.Builder
		began := time.Now()
		expect.Equal(t, exitOK, run(ctx, args, program{f.environ, nil, io.Discard, &stderr}), "exit status")
		took := time.Since(began)
		const skipped = "bridge: skipping a message on webhooks.flock.a that is not one of the bridge's events: "
		if strings.Count(stderr.String(), skipped) != 3 || strings.Count(stderr.String(), "\n") != 4 {
			t.Error(stderr.String())
		}
		return took < 9*time.Second
	})
}
