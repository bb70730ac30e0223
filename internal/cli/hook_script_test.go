package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// settled waits until a durable consumer has had all events and acknowledged them.
func settled(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 1, "settled CONSUMER")
	js, closeNATS := jetStream(ts)
	defer closeNATS()
	if !poll.Holds(func() bool {
		c, err := js.Consumer(context.Background(), "WEBHOOKS", args[0])
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	}) {
		ts.Fatalf("consumer %s has not acknowledged all", args[0])
	}
}

// hook serves $HOOK: /fine accepts events and writes their ids to a file, /flaky refuses each once
// with 503, /moved redirects to /fine, /wrong answers 400, /hang never answers. Every status line
// ends with an escape sequence.
func hook(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 1, "hook FILE")
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	var mu sync.Mutex
	seen := make(map[string]bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		e, err := event.Parse(body)
		switch {
		case err != nil, r.Method != http.MethodPost, r.Header.Get("Content-Type") != event.ContentType,
			strings.Contains(fmt.Sprint(r.Header), "Signature"), strings.Contains(fmt.Sprint(r.Header), "Nats-"):
			w.WriteHeader(http.StatusTeapot)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/fine", http.StatusFound)
		case r.URL.Path == "/hang":
			<-r.Context().Done()
		case r.URL.Path == "/wrong":
			w.WriteHeader(http.StatusBadRequest)
		case r.URL.Path == "/flaky" && !seen[e.ID]:
			seen[e.ID] = true
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = fmt.Fprintln(file, e.ID)
		}
		_, _ = io.WriteString(w, "done\x1b[2J\nmore"+strings.Repeat("x", 1<<20))
	}))
	ts.Setenv("HOOK", server.URL)
	ts.Defer(func() {
		server.CloseClientConnections()
		server.Close()
		file.Close()
	})
}
