package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// ids returns the ids of the stored events, in order.
func (b *bridge) ids() (ids []string) {
	b.t.Helper()
	stream := b.stream("WEBHOOKS")
	for seq := range stream.CachedInfo().State.LastSeq {
		m, err := stream.GetMsg(b.t.Context(), seq+1)
		expect.NoError(b.t, err)
		e, err := event.Parse(m.Data)
		if err != nil || e.ID != m.Header.Get("Nats-Msg-Id") || m.Header.Get("Content-Type") != event.ContentType {
			b.t.Errorf("a stored event: got %v, with the headers %v, want its id and the type of CloudEvents", err, m.Header)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// While NATS is away, events are spooled, each once, and nothing unsigned is. Afterwards they are stored in
// the order of their arrival, even by another process.
func TestNATSAway(t *testing.T) {
	s := natsdtest.New(t, "")
	vars := []string{"NATS_URL=" + s.URL(), "DATA_DIR=" + t.TempDir()}
	b := start(t, vars...)
	var want []string
	for i := range 20 {
		body := flockBody(fmt.Sprint(i), "")
		for range 2 {
			a := b.post("flock", body, flockHeader(t, body))
			if a.StatusCode != http.StatusOK || a.result != "spooled" {
				t.Fatalf("answered %s %s", a.Status, a.body)
			}
			want = append(want, a.id)
		}
		expect.Equal(t, "401 signature", b.post("flock", flockBody("unsigned", ""), "X-Flock-Signature: "+strings.Repeat("0", 64)).String(), "the answer to an unsigned delivery")
	}
	want = slices.Compact(want)
	expect.Equal(t, 20, b.spool.Len(publish.Event), "events in the spool")
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(b.log.String(), "events are left in the spool") {
		t.Errorf("what is left is not logged:\n%s", b.log)
	}

	b = start(t, vars...)
	body := flockBody("after the others", "")
	a := b.post("flock", body, flockHeader(t, body))
	if a.result != "spooled" {
		t.Errorf("answered %s", a.body)
	}
	want = append(want, a.id)
	s.Start()
	b.js = natsdtest.Connect(t, s.URL())
	b.await("delivered", func() bool { return b.spool.Len(publish.Event) == 0 })
	expect.Equal(t, want, b.ids(), "stored")
	body = flockBody("directly", "")
	expect.Equal(t, "200 stored", b.post("flock", body, flockHeader(t, body)).String(), "the answer")
	for _, metric := range []string{
		`webhook_bridge_publishes_total{kind="event",outcome="stored",way="spool"} 21`, `webhook_bridge_publishes_total{kind="event",outcome="stored",way="direct"} 1`,
		`webhook_bridge_spool_events{kind="event"} 0`, `webhook_bridge_spool_bytes 0`, `webhook_bridge_spool_writable 1`, `webhook_bridge_breaker{state="closed"} 1`,
	} {
		b.awaitMetric(metric)
	}
}

// Without NATS and without room in the spool the answer is 503.
func TestNeitherNATSNorSpool(t *testing.T) {
	b := start(t, "NATS_URL=nats://127.0.0.1:1", "SPOOL_MAX_BYTES=1000")
	for i, want := range []int{200, 503, 503} {
		body := flockBody(fmt.Sprint(i), "")
		a := b.post("flock", body, flockHeader(t, body))
		if a.StatusCode != want || want == 503 && (a.Header.Get("Retry-After") == "" || a.code != "unavailable") {
			t.Errorf("%d: answered %s %v %s", i, a.Status, a.Header, a.body)
		}
	}
	b.await("the reasons are logged", func() bool {
		return strings.Contains(b.log.String(), "NATS is not connected") && strings.Contains(b.log.String(), "spool is full")
	})
}

// With SPOOL_DRAIN_TIMEOUT a shutdown waits for the spool to be delivered.
func TestDrain(t *testing.T) {
	s := natsdtest.New(t, "")
	b := start(t, "NATS_URL="+s.URL(), "SPOOL_DRAIN_TIMEOUT=1m")
	body := flockBody("a", "")
	if a := b.post("flock", body, flockHeader(t, body)); a.result != "spooled" {
		t.Fatalf("answered %s", a.body)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	b.await("not accepting", func() bool { return b.handler.Stopping.Load() })
	s.Start()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	b.js = natsdtest.Connect(t, s.URL())
	if n := b.stored(); n != 1 || strings.Contains(b.log.String(), "are left in the spool") {
		t.Errorf("%d stored; log:\n%s", n, b.log)
	}
}

// Every delivery with a correct signature is published or kept, and no other.
func TestQuarantine(t *testing.T) {
	b := start(t)
	contradicting := strings.Replace(frigadeBody("g", ""), "completedStep", "startedStep", 1)
	for _, test := range []struct {
		name, endpoint, body string
		status               int
		reason               string // "" if it isn't kept
	}{
		{"no name", "flock", `{"x": 1}`, 200, "unreadable"},
		{"no time", "flock", `{"name": "a.b"}`, 200, "unreadable"},
		{"no type", "frigade", `{"data":{"a":1},"time":"2026-01-02T03:04:05Z"}`, 200, "unreadable"},
		{"stale", "flock", flockBodyAt(time.Now().Add(-6*time.Minute), "s", ""), 401, "stale"},
		{"from the future", "flock", flockBodyAt(time.Now().Add(6*time.Minute), "f", ""), 401, "future"},
		{"contradiction", "frigade", contradicting, 401, "contradiction"},
		{"data empty", "frigade", `{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{}}`, 400, ""},
		{"not JSON", "flock", `{`, 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := b.messages("WEBHOOKS_QUARANTINE")
			header := flockHeader(t, "{}")
			if test.status != 400 {
				header = map[string]func(*testing.T, string) string{"flock": flockHeader, "frigade": frigadeHeader}[test.endpoint](t, test.body)
			}
			var ids []string
			for range 2 {
				a := b.post(test.endpoint, test.body, header)
				if a.StatusCode != test.status || test.status == 200 && a.result != "quarantined" {
					t.Errorf("answered %s %s", a.Status, a.body)
				}
				ids = append(ids, a.id)
			}
			if forged := b.post(test.endpoint, test.body+" ", "X-Flock-Signature: "+strings.Repeat("0", 64)); forged.StatusCode == http.StatusOK {
				t.Errorf("unsigned: answered %s", forged.Status)
			}
			want := before
			if test.reason != "" {
				want++
			}
			b.await("delivered", func() bool { return b.spool.Stats().Bytes == 0 }) // those answered 401 may have to wait
			if n := b.messages("WEBHOOKS_QUARANTINE"); n != want {
				t.Fatalf("%d in quarantine, want %d", n, want)
			}
			if test.reason == "" {
				return
			}
			stream := b.stream("WEBHOOKS_QUARANTINE")
			m, err := stream.GetMsg(t.Context(), stream.CachedInfo().State.LastSeq)
			expect.NoError(t, err)
			_, signature, _ := strings.Cut(header, ": ")
			if m.Subject != "webhooks-quarantine."+test.endpoint+"."+test.reason || string(m.Data) != test.body ||
				m.Header.Get("Webhook-Endpoint") != test.endpoint || m.Header.Get("Webhook-Reason") != test.reason || len(m.Header.Get("Webhook-Seal")) != 64 || strings.Contains(fmt.Sprint(m.Header), signature) {
				t.Errorf("in quarantine: got %s %v %s, want the body, endpoint, reason and seal, and no signature", m.Subject, m.Header, m.Data)
			}
			if id := m.Header.Get("Nats-Msg-Id"); len(id) != 32 || test.status == 200 && (id != ids[0] || id != ids[1]) {
				t.Errorf("id %s, answered %q", id, ids)
			}
		})
	}
	expect.Equal(t, 0, b.stored(), "events stored")
	b.awaitMetric(`webhook_bridge_quarantined_total{endpoint="flock",reason="stale"} 2`)
	b.awaitMetric(`webhook_bridge_deliveries_total{endpoint="flock",outcome="quarantined"} 4`)
}

func TestQuarantineOff(t *testing.T) {
	b := start(t, "NATS_URL=nats://127.0.0.1:1", "QUARANTINE=false")
	for _, body := range []string{`{"x":1}`, `{"name":"a.b"}`} {
		expect.Equal(t, "400 unreadable", b.post("flock", body, flockHeader(t, body)).String(), "the answer")
	}
	stale := flockBodyAt(time.Now().Add(-6*time.Minute), "s", "")
	expect.Equal(t, "401 stale", b.post("flock", stale, flockHeader(t, stale)).String(), "the answer")
	if s := b.spool.Stats(); s.Bytes != 0 {
		t.Errorf("something is kept: %+v", s)
	}
}

// Quarantined deliveries go through the spool too, in a queue of their own that never delays
// events.
func TestQuarantineWhileNATSIsAway(t *testing.T) {
	s := natsdtest.New(t, "")
	b := start(t, "NATS_URL="+s.URL())
	unreadable := `{"x":1}`
	expect.Equal(t, "200 quarantined", b.post("flock", unreadable, flockHeader(t, unreadable)).String(), "the answer")
	if n, m := b.spool.Len(publish.Quarantined), b.spool.Len(publish.Event); n != 1 || m != 0 {
		t.Errorf("%d quarantined, %d events in the spool", n, m)
	}
	s.Start()
	b.js = natsdtest.Connect(t, s.URL())
	b.await("delivered", func() bool { return b.spool.Len(publish.Quarantined) == 0 })
	expect.Equal(t, 1, b.messages("WEBHOOKS_QUARANTINE"), "deliveries in quarantine")
}
