package inspect

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMain(m *testing.M) {
	natsdtest.Main()
	natsdtest.VerifyTestMain(m)
}

// fixture is a NATS server and a page. createStreams creates the two streams.
type fixture struct {
	t      *testing.T
	nats   *natsdtest.Server
	js     jetstream.JetStream // with all rights
	server *Server
	url    string
}

// newFixture returns a fixture whose page may publish on these subjects; nil: on all.
func newFixture(t *testing.T, rights ...string) *fixture {
	t.Helper()
	return newFixtureOn(t, natsdtest.Start(t, serverConfig(rights)))
}

func newFixtureOn(t *testing.T, server *natsdtest.Server) *fixture {
	t.Helper()
	f := &fixture{t: t, nats: server, js: natsdtest.Connect(t, server.URL(), nats.UserInfo("admin", "admin"))}
	js := natsdtest.Connect(t, server.URL(), nats.UserInfo("page", "page"), nats.IgnoreAuthErrorAbort())
	f.server = New(js, Config{Stream: "WEBHOOKS", Prefix: "webhooks", NATS: f.nats.URL(), Command: "bridge", Version: "test"})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	f.url = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return f
}

func serverConfig(rights []string) string {
	allowed := ">"
	if rights != nil {
		allowed = strings.Join(rights, `", "`)
	}
	return fmt.Sprintf(`accounts { A { jetstream: enabled, users: [
		{ user: admin, password: admin }
		{ user: page, password: page, permissions { publish: { allow: ["%s"] }, subscribe: { allow: ["_INBOX.>"] } } }
	] } }`, allowed)
}

func (f *fixture) createStreams() {
	f.t.Helper()
	for name, subject := range map[string]string{"WEBHOOKS": "webhooks.>", "WEBHOOKS_QUARANTINE": "webhooks-quarantine.>"} {
		natsdtest.CreateStream(f.t, f.js, jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true})
	}
}

func (f *fixture) publish(n int, data string) {
	f.t.Helper()
	for range n {
		id := nuid.Next() // on a busy machine, it may be stored although its acknowledgement is late
		poll.Until(f.t, "stored", func() bool {
			return expect.Err(f.js.Publish(f.t.Context(), "webhooks.flock.a", []byte(data), jetstream.WithMsgID(id))) == nil
		})
	}
}

// page reads the feed, as a browser does.
type page struct {
	t     *testing.T
	lines *bufio.Scanner
	close func() error
}

// open opens a page.
func (f *fixture) open() *page {
	f.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(f.url + "/api/feed")
	expect.NoError(f.t, err)
	f.t.Cleanup(func() { response.Body.Close() })
	if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != "text/event-stream" {
		f.t.Fatalf("answered %s with the type %s, want 200 and an event stream", response.Status, got)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 64<<20)
	return &page{t: f.t, lines: lines, close: response.Body.Close}
}

// scan returns the next event of that name; nil if the feed has ended.
func (p *page) scan(name string) []byte {
	for got := ""; p.lines.Scan(); {
		if after, ok := strings.CutPrefix(p.lines.Text(), "event: "); ok {
			got = after
		} else if after, ok := strings.CutPrefix(p.lines.Text(), "data: "); ok && got == name {
			return []byte(after)
		}
	}
	return nil
}

// next returns the next event of that name.
func (p *page) next(name string) []byte {
	p.t.Helper()
	data := p.scan(name)
	if data == nil {
		p.t.Fatalf("the feed ended: %v", p.lines.Err())
	}
	return data
}

func (p *page) hello() (h Config) {
	p.t.Helper()
	expect.NoError(p.t, json.Unmarshal(p.next("hello"), &h))
	return h
}

// events returns the next n events or more.
func (p *page) events(n int) (all []item) {
	p.t.Helper()
	for len(all) < n {
		var some []item
		expect.NoError(p.t, json.Unmarshal(p.next("events"), &some))
		all = append(all, some...)
	}
	return all
}

// until returns the first state for which a function returns true.
func (p *page) until(what string, is func(state) bool) state {
	p.t.Helper()
	for end := time.Now().Add(poll.Bound); ; {
		var s state
		expect.NoError(p.t, json.Unmarshal(p.next("state"), &s))
		if is(s) {
			return s
		}
		if time.Now().After(end) {
			p.t.Fatalf("never %s; %+v", what, s)
		}
	}
}

func hasProblem(text string) func(state) bool {
	return func(s state) bool { return strings.Contains(s.EventsProblem, text) }
}

func isLive(s state) bool { return s.Connected && s.EventsProblem == "" && s.Stream != nil }

const cloudEvent = `{"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"com.withflock.a","provider":"flock","event":"a","datacontenttype":"application/json","receivedtime":"2026-01-02T03:04:05Z","signed":"payload","data":{"a":"<b>"}}`

func TestFeed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createStreams()
	large := `{"filler":"` + strings.Repeat("x", 100_000) + `"}`
	f.publish(1, cloudEvent)
	f.publish(1, large)
	f.publish(1, "no\xff")
	p := f.open()
	if h := p.hello(); h.Stream != "WEBHOOKS" || h.Prefix != "webhooks" || h.NATS != f.nats.URL() {
		t.Errorf("hello: got %+v, want that of WEBHOOKS", h)
	}
	all := p.events(3)
	first := all[0]
	if first.Sequence != 1 || first.Subject != "webhooks.flock.a" || first.Event == nil || string(first.Event.Data) != "null" || first.Event.ID != "5e0c" || first.Payload != cloudEvent || first.Problem != "" {
		t.Errorf("the first event: got %+v, want sequence 1 on webhooks.flock.a", first)
	}
	if all[1].Payload != large || all[1].Size != len(large) || all[1].Problem == "" || all[2].Payload != "no\uFFFD" {
		t.Errorf("got %+v, want a large payload that is no event, and one with a replacement character", all[1:])
	}
	p.until("the stream is seen", func(s state) bool { return isLive(s) && s.Stream.State.Msgs == 3 && s.Quarantine != nil })

	marker := &nats.Msg{Subject: "webhooks.flock.a", Header: nats.Header{jetstream.MarkerReasonHeader: {"MaxAge"}}} // the stream's own
	expect.NoError(t, expect.Err(f.js.PublishMsg(t.Context(), marker)))
	f.publish(1, cloudEvent)
	if more := p.events(1); more[0].Sequence != 5 {
		t.Errorf("then: got %+v, want sequence 5", more)
	}
}

// A batch of events has few bytes: it must reach a browser with a slow connection within the write timeout.
func TestLargeEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createStreams()
	f.publish(20, strings.Repeat("x", 500<<10))
	p := f.open()
	time.Sleep(500 * time.Millisecond) // so that events queue up
	for n := 0; n < 20; {
		text := p.next("events")
		if len(text) > maxBatchBytes+600<<10 {
			t.Fatalf("a batch has %d bytes", len(text))
		}
		var some []item
		expect.NoError(t, json.Unmarshal(text, &some))
		n += len(some)
	}
}

// A browser that doesn't read is disconnected, and delays no other. When it connects again, it gets the
// newest events.
func TestSlowBrowserIsDropped(t *testing.T) {
	t.Parallel()
	const many = 3000 // 47 MiB: more than all buffers between them hold
	f := newFixture(t)
	f.createStreams()
	slow := f.open()
	slow.hello()
	f.publish(many, strings.Repeat("x", 16<<10))
	for range 2 {
		var got []item
		poll.Until(t, "another page has the newest events", func() bool {
			page := f.open()
			defer func() { _ = page.close() }()
			got = nil
			for len(got) < initialEvents {
				var some []item
				if json.Unmarshal(page.scan("events"), &some) != nil {
					return false // on a slow machine this page was dropped, too: like a browser, it connects again
				}
				got = append(got, some...)
			}
			return true
		})
		if got[0].Sequence != many-initialEvents+1 || got[initialEvents-1].Sequence != many {
			t.Errorf("got the events %d to %d", got[0].Sequence, got[len(got)-1].Sequence)
		}
		poll.Until(t, "the slow page is dropped", func() bool { return len(f.server.pages) == 0 })
	}
}

// The page gets a message for each failure, and recovers by itself.
func TestProblems(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.open()
	p.until("the stream is missing", hasProblem("Stream WEBHOOKS does not exist. Start a bridge"))
	f.createStreams()
	p.until("live", isLive)
	f.nats.Stop()
	p.until("NATS is away", func(s state) bool { return !s.Connected && strings.HasPrefix(s.EventsProblem, "NATS is away") })
	f.nats.Start()
	p.until("live again", isLive)
}

func TestRights(t *testing.T) {
	t.Parallel()
	const info, infoOfQuarantine = "$JS.API.STREAM.INFO.WEBHOOKS", "$JS.API.STREAM.INFO.WEBHOOKS_QUARANTINE"
	f := newFixture(t, "nothing")
	f.createStreams()
	p := f.open()
	p.until("no right to ask", hasProblem("Our account has no right to publish on "+info+"."))
	f.nats.Reload(serverConfig([]string{info, infoOfQuarantine}))
	s := p.until("no right to read", hasProblem("Our account has no right to publish on $JS.API.CONSUMER.CREATE.WEBHOOKS."))
	if s.Connected != true {
		t.Errorf("the state: got %+v, want connected", s)
	}
	f.nats.Reload(serverConfig([]string{info, infoOfQuarantine, "$JS.API.CONSUMER.CREATE.WEBHOOKS.>", "$JS.API.CONSUMER.MSG.NEXT.WEBHOOKS.>", "$JS.API.CONSUMER.DELETE.WEBHOOKS.>"}))
	p.until("no list, but live", func(s state) bool {
		return isLive(s) && strings.Contains(s.ConsumersProblem, "$JS.API.CONSUMER.LIST.WEBHOOKS")
	})
	f.nats.Reload(serverConfig(nil))
	p.until("all", func(s state) bool { return isLive(s) && s.ConsumersProblem == "" && s.QuarantineProblem == "" })
}
