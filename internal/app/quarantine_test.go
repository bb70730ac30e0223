package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// kept returns how many messages are in quarantine, by subject, once none waits in the spool.
func (b *bridge) kept() map[string]uint64 {
	b.t.Helper()
	b.await("delivered", func() bool { return b.spool.Stats().Bytes == 0 })
	info, err := b.stream("WEBHOOKS_QUARANTINE").Info(b.t.Context(), jetstream.WithSubjectFilter(">"))
	expect.NoError(b.t, err)
	return info.State.Subjects
}

// A stale delivery of Frigade's without actionType is kept once, however often somebody sends it with other
// members around data, which alone is signed.
func TestVariantsAreKeptOnce(t *testing.T) {
	for name, vars := range map[string][]string{"stored": nil, "spooled": {"NATS_URL=later"}} {
		t.Run(name, func(t *testing.T) {
			var s *natsdtest.Server
			if vars != nil {
				s = natsdtest.New(t, "")
				vars = []string{"NATS_URL=" + s.URL()}
			}
			b := start(t, append(vars, "MAX_IN_FLIGHT_BYTES=64MiB")...)
			long := time.Now().Add(-48 * time.Hour).UTC().Format(time.RFC3339)
			signature := frigadeHeader(t, `{"data":{"id":"f1"}}`)
			for i := range 20 {
				body := fmt.Sprintf(`{"type":"a.variant%d","time":%q,"data":{"id":"f1"},"padding":"%s"}`, i, long, strings.Repeat("x", 400<<10))
				if a := b.post("frigade", body, signature); a.StatusCode != http.StatusUnauthorized || a.code != "stale" {
					t.Fatalf("answered %s %s", a.Status, a.body)
				}
			}
			if s != nil {
				s.Start()
				b.js = natsdtest.Connect(t, s.URL())
			}
			if kept := b.kept(); len(kept) != 1 || kept["webhooks-quarantine.frigade.stale"] != 1 {
				t.Errorf("in quarantine: %v", kept)
			}
		})
	}
}

// A flood of stale signed deliveries doesn't displace deliveries that were answered 200.
func TestRefusedDisplaceNothing(t *testing.T) {
	b := start(t, "QUARANTINE_MAX_BYTES=2MiB")
	nameless := fmt.Sprintf(`{"timestamp":%d}`, time.Now().Unix())
	a := b.post("flock", nameless, flockHeader(t, nameless))
	if a.result != "quarantined" {
		t.Fatalf("answered %s %s", a.Status, a.body)
	}
	for i := range 60 {
		stale := flockBodyAt(time.Now().Add(-time.Hour), fmt.Sprint(i), `,"padding":"`+strings.Repeat("x", 100<<10)+`"`)
		if a := b.post("flock", stale, flockHeader(t, stale)); a.StatusCode != http.StatusUnauthorized || a.code != "stale" {
			t.Fatalf("answered %s %s", a.Status, a.body)
		}
	}
	kept := b.kept()
	stale := kept["webhooks-quarantine.flock.stale"]
	if kept["webhooks-quarantine.flock.unreadable"] != 1 || stale < 5 || stale > 12 {
		t.Errorf("in quarantine: %v", kept)
	}
	published := func(way string) uint64 {
		return uint64(b.number(`webhook_bridge_publishes_total{kind="refused",outcome="stored",way="` + way + `"}`))
	}
	if direct := published("direct"); direct < 2 || direct+published("spool") != stale {
		t.Errorf("%d are kept, %d of them directly, want at least two directly and the others once there is room", stale, direct)
	}
	if !strings.Contains(b.log.String(), "it could not be put into quarantine: ") {
		t.Error("the log doesn't say that some aren't kept")
	}
}

// A reader of the quarantine can't send its deliveries again: neither headers nor bodies have a
// signature, and a seal isn't one.
func TestQuarantineCannotBeReplayed(t *testing.T) {
	b := start(t)
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	data := fmt.Sprintf(`{"id":"f1","actionType":"COMPLETED_STEP","createdAt":%q}`, now)
	_, signature, _ := strings.Cut(frigadeHeader(t, `{"data":`+data+`}`), ": ")
	body := fmt.Sprintf(`{ "signature" : %q, "type":"flowResponse.startedStep","time":%q,"data":%s}`, signature, now, data)
	if a := b.post("frigade", body); a.code != "signature" || b.kept()["webhooks-quarantine.frigade.contradiction"] != 1 {
		t.Fatalf("answered %s %s, kept %v", a.Status, a.body, b.kept())
	}
	m, err := b.stream("WEBHOOKS_QUARANTINE").GetMsg(t.Context(), 1)
	expect.NoError(t, err)
	if want := strings.Replace(body, signature, strings.Repeat("*", len(signature)), 1); string(m.Data) != want {
		t.Errorf("kept as %s", m.Data)
	}
	right := strings.Replace(string(m.Data), "startedStep", "completedStep", 1)
	headers := []string{"X-None: 1"}
	for _, values := range m.Header {
		for _, value := range values {
			headers = append(headers, "X-Webhook-Signature: "+value)
		}
	}
	for _, header := range headers {
		if a := b.post("frigade", right, header); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("with %q: answered %s %s", header, a.Status, a.body)
		}
	}
	expect.Equal(t, 0, b.stored(), "events stored")
}
