package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

func (b *bridge) admin(path string) (int, string) {
	b.t.Helper()
	response, err := http.Get("http://" + b.AdminAddr() + path)
	expect.NoError(b.t, err)
	defer response.Body.Close()
	var text strings.Builder
	expect.NoError(b.t, response.Write(&text))
	return response.StatusCode, text.String()
}

func TestProbes(t *testing.T) {
	b := start(t)
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/webhooks/flock": 404} {
		if status, text := b.admin(path); status != want {
			t.Errorf("%s: got %d %s, want %d", path, status, text, want)
		}
	}
	away := start(t, "NATS_URL=nats://127.0.0.1:1")
	if status, text := away.admin("/livez"); status != 200 {
		t.Errorf("/livez without NATS: %s", text)
	}
	away.await("ready by its spool", func() bool { return len(away.durability().Reasons) == 0 })
	if status, text := away.admin("/readyz"); status != 200 || !strings.Contains(text, "events go to the spool") || !strings.Contains(text, "NATS is not connected") {
		t.Errorf("/readyz without NATS: %d %s", status, text)
	}
	full := start(t, "NATS_URL=nats://127.0.0.1:1", "SPOOL_MAX_BYTES=100KiB")
	full.await("serving", full.serving.Load)
	if status, text := full.admin("/readyz"); status != 503 || !strings.Contains(text, "NATS is not connected") || !strings.Contains(text, "spool is full") {
		t.Errorf("/readyz without NATS and without room for one of MAX_BODY_BYTES: %d %s", status, text)
	}
}

// A bridge without NATS_URL starts its own server, even with settings for other servers.
func TestSettingsForOtherServers(t *testing.T) {
	pair := tlstest.New(t, "nats.example.com")
	creds := filepath.Join(t.TempDir(), "creds")
	expect.NoError(t, os.WriteFile(creds, []byte("-----BEGIN NATS USER JWT-----\neyJ\n------END NATS USER JWT------\n"+
		"-----BEGIN USER NKEY SEED-----\nSUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n------END USER NKEY SEED------\n"), 0o600))
	start(t, "NATS_CREDS="+creds, "NATS_CA="+pair.Cert, "NATS_CERT="+pair.Cert, "NATS_KEY="+pair.Key, "NATS_JS_DOMAIN=leaf")
}

// If NATS is connected but publishing fails, /readyz has the cause, not only that the breaker is open.
func TestReadyzHasCause(t *testing.T) {
	b := start(t, "STREAM_MAX_BYTES=1")
	body := flockBody("a", "")
	if a := b.post("flock", body, flockHeader(t, body)); a.result != "spooled" {
		t.Fatalf("answered %s", a.body)
	}
	b.await("the cause is a note", func() bool {
		status, text := b.admin("/readyz")
		return status == 200 && strings.Contains(text, "NATS is connected but publishing fails (stream_full): the breaker is")
	})
}

// Without room in the spool the bridge is ready again once the breaker is half-open: only a delivery can
// close it, and none would come otherwise.
func TestReadyOnceHalfOpen(t *testing.T) {
	b := start(t, "STREAM_MAX_BYTES=1", "SPOOL_MAX_BYTES=1")
	body := flockBody("a", "")
	b.await("unready while the breaker is open", func() bool { // once more if a slow machine sees it half-open
		if a := b.post("flock", body, flockHeader(t, body)); a.code != "unavailable" {
			t.Fatalf("answered %s", a.body)
		}
		return strings.Contains(fmt.Sprint(b.durability().Reasons), "the breaker is open")
	})
	b.await("ready", func() bool { return len(b.durability().Reasons) == 0 })
	expect.Equal(t, "half-open", b.relay.Breaker(), "the breaker")
}

// Without a stream nothing is tried, but the metric has the cause: an alert needs it.
func TestBlockedWithoutStream(t *testing.T) {
	b := start(t, "NATS_URL="+natsdtest.Start(t, "").URL(), "STREAM_MANAGE=false")
	body := flockBody("a", "")
	if a := b.post("flock", body, flockHeader(t, body)); a.result != "spooled" {
		t.Fatalf("answered %s", a.body)
	}
	b.await("the metric has the cause", func() bool {
		_, text := b.admin("/metrics")
		return strings.Contains(text, `webhook_bridge_spool_blocked{cause="no_stream",kind="event"} 1`)
	})
}

func TestMetrics(t *testing.T) {
	b := start(t)
	body := flockBody("a", "")
	b.post("flock", body, flockHeader(t, body))
	b.post("flock", body, flockHeader(t, body))
	older := flockBody("b", "")
	b.post("flock", older, sign(t, "X-Flock-Signature", "flock-older", older))
	b.post("flock", body)
	unreadable := fmt.Sprintf(`{"data":{},"timestamp":%d}`, time.Now().Unix())
	b.post("flock", unreadable, flockHeader(t, unreadable)) // no published event has drifted
	b.post("nobody-knows-this-path", body)
	for _, want := range []string{
		`webhook_bridge_deliveries_total{endpoint="flock",outcome="stored"} 2`,
		`webhook_bridge_deliveries_total{endpoint="flock",outcome="duplicate"} 1`,
		`webhook_bridge_deliveries_total{endpoint="flock",outcome="signature_missing"} 1`,
		`webhook_bridge_deliveries_total{endpoint="flock",outcome="quarantined"} 1`,
		`webhook_bridge_deliveries_total{endpoint="",outcome="not_found"} 1`,
		`webhook_bridge_signatures_verified_total{endpoint="flock",scheme="payload",secret="0"} 3`,
		`webhook_bridge_signatures_verified_total{endpoint="flock",scheme="payload",secret="1"} 1`,
		`webhook_bridge_payload_drift_total{endpoint="flock"} 3`, `webhook_bridge_payload_drift_total{endpoint="frigade"} 0`,
		`webhook_bridge_nats_connected 1`, `webhook_bridge_ready 1`, `webhook_bridge_in_flight_bytes 0`,
		`webhook_bridge_in_flight_max_bytes 6.7108864e+07`,
		`webhook_bridge_publishes_total{kind="event",outcome="duplicate",way="direct"} 1`,
		`webhook_bridge_publishes_total{kind="quarantine",outcome="timeout",way="spool"} 0`,
		`webhook_bridge_last_accepted_timestamp_seconds{endpoint="flock"}`, `webhook_bridge_delivery_duration_seconds_count{endpoint="flock"} 5`,
	} {
		b.awaitMetric(want)
	}
	if n := strings.Count(b.log.String(), `"member":"data.campaignId"`); n != 1 {
		t.Errorf("the member that has drifted in 3 deliveries is logged %d times, want once", n)
	}
	if _, text := b.admin("/metrics"); strings.Contains(text, "nobody-knows") {
		t.Error("the metrics hold a path that somebody sent")
	}
}

// A delivery arrives in the stream, with its headers.
func TestMessage(t *testing.T) {
	b := start(t)
	body := strings.Replace(flockBody("a", ""), ":", ": ", 1)
	a := b.post("flock", body, flockHeader(t, body))
	m, err := b.stream("WEBHOOKS").GetMsg(t.Context(), 1)
	expect.NoError(t, err)
	if m.Subject != "webhooks.flock.invitee.accepted" || m.Header.Get("Nats-Msg-Id") != a.id || m.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" {
		t.Errorf("the message: got %s %v, want the event's subject, id and type", m.Subject, m.Header)
	}
	e, err := event.Parse(m.Data)
	expect.NoError(t, err)
	if e.ID != a.id || string(e.Data) != strings.Replace(body, ": ", ":", 1) || e.Source != "/webhooks/flock" || e.Type != "com.withflock.invitee.accepted" {
		t.Errorf("the event: got %+v, want the delivery's id, body, source and type", e)
	}
	received, err := time.Parse("2006-01-02T15:04:05.000Z", e.ReceivedTime)
	if err != nil || time.Since(received) > time.Minute {
		t.Errorf("received %s, %v", e.ReceivedTime, err)
	}
}

// panicking is a publisher that panics with the message.
type panicking struct{}

func (panicking) Publish(_ context.Context, _ time.Time, m publish.Message) (publish.Status, error) {
	panic(string(m.Data))
}

// A panic is answered, and logged by its type without its value.
func TestPanicIsLogged(t *testing.T) {
	b := start(t)
	b.handler.Publisher = panicking{}
	body := flockBody("marked-body", "")
	header := flockHeader(t, body)
	a := b.post("flock", body, header)
	seen := a.body + b.log.String()
	if a.code != "internal" || !strings.Contains(seen, "panic of type") {
		t.Errorf("a panic is answered %s %s, and logged:\n%s", a.Status, a.body, b.log)
	}
	_, signature, _ := strings.Cut(header, ": ")
	for _, hidden := range []string{"marked-body", signature, flockSecret} {
		if strings.Contains(seen, hidden) {
			t.Errorf("%q is in:\n%s", hidden, seen)
		}
	}
}

// A flood of one kind of refusal is sampled in the log and counted in full. It doesn't keep another kind
// with the same answer, or another endpoint's refusals, out of the log.
func TestFloodIsSampled(t *testing.T) {
	b := start(t)
	c := b.dial()
	const n = 300
	began := time.Now()
	for range n {
		c.write(request("flock", "{}"))
		if a := c.read("POST"); a.StatusCode != http.StatusUnauthorized {
			t.Fatal(a.Status)
		}
	}
	b.post("flock", "{}", "X-Flock-Signature: x")
	b.post("frigade", `{"data":{"id":"i"}}`)
	b.awaitMetric(fmt.Sprintf(`webhook_bridge_deliveries_total{endpoint="flock",outcome="signature_missing"} %d`, n))
	b.await("logged", func() bool { return strings.Contains(b.log.String(), `"outcome":"signature_malformed"`) })
	b.await("logged", func() bool {
		return strings.Contains(b.log.String(), `"endpoint":"frigade","outcome":"signature_missing"`)
	})
	// The first 10 of every 10 s are logged, and every 100th; one of the other kind, one of the other endpoint.
	most := 10*int(2+time.Since(began)/(10*time.Second)) + n/100 + 2
	if lines := len(b.lines("delivery refused")); lines > most {
		t.Errorf("%d lines for %d refusals, want at most %d", lines, n, most)
	}
}

// A flood for one vendor without secrets doesn't keep the other's missing ones out of the log.
func TestFloodWithoutSecrets(t *testing.T) {
	log, metrics := &expect.Buffer{}, telemetry.NewMetrics("test")
	logger := telemetry.NewLogger(log, "json", "info").Logger
	o := newObserver(logger, telemetry.Sampled(logger, time.Hour, 10, 100, metrics.LogDropped.Inc), metrics, nil)
	for range 50 {
		o.Observe(&ingest.Record{Outcome: "not_found", Err: fmt.Errorf("%w: set A_SECRETS", ingest.ErrNotConfigured)})
	}
	o.Observe(&ingest.Record{Outcome: "not_found", Err: fmt.Errorf("%w: set B_SECRETS", ingest.ErrNotConfigured)})
	expect.Equal(t, 10, strings.Count(log.String(), "set A_SECRETS"), "lines of the flood")
	expect.Equal(t, 1, strings.Count(log.String(), "set B_SECRETS"), "lines of the other")
}

// The line of a delivery that is refused for its time has the age, also if it is that of the signed time.
func TestRefusalHasAge(t *testing.T) {
	b := start(t)
	at := func(age time.Duration) string { return flockBodyAt(time.Now().Add(-age), "i", "") }
	now := time.Now().UTC()
	created := fmt.Sprintf(`{"type":"flowResponse.completedStep","time":%q,"data":{"id":"old","createdAt":%q}}`,
		now.Format(time.RFC3339), now.Add(-48*time.Hour).Format(time.RFC3339))
	for i, tt := range []struct {
		endpoint, body string
		header         func(*testing.T, string) string
		age            time.Duration
	}{
		{"flock", at(time.Hour), flockHeader, time.Hour},
		{"flock", at(-time.Hour), flockHeader, -time.Hour},
		{"frigade", created, frigadeHeader, 48 * time.Hour},
	} {
		b.post(tt.endpoint, tt.body, tt.header(t, tt.body))
		b.await("logged", func() bool { return len(b.lines("signed delivery refused")) > i })
		line := b.lines("signed delivery refused")[i]
		if got, err := time.ParseDuration(fmt.Sprint(line["age"])); err != nil || (got-tt.age).Abs() > time.Minute {
			t.Errorf("age %v, want %s: %v", line["age"], tt.age, line)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer taken.Close()
	for _, variable := range []string{"HTTP_ADDR", "ADMIN_ADDR"} {
		vars := map[string]string{"HTTP_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "NATS_URL": "nats://127.0.0.1:1", "FLOCK_SECRETS": "x"}
		vars[variable] = taken.Addr().String()
		var environ []string
		for name, value := range vars {
			environ = append(environ, name+"="+value)
		}
		c, _, err := config.Load(environ)
		expect.NoError(t, err)
		if _, err := New(t.Context(), c, "test", telemetry.NewLogger(io.Discard, "json", "error")); err == nil || !strings.Contains(err.Error(), variable) || !strings.Contains(err.Error(), "in use") {
			t.Errorf("%s: New = %v", variable, err)
		}
	}
}

// Every log line is a JSON object with the fields that log pipelines need.
func TestLogLines(t *testing.T) {
	b := start(t)
	b.post("flock", "{}")
	expect.NoError(t, b.stop())
	for line := range strings.Lines(b.log.String()) {
		var entry struct{ Time, Level, Message string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Message == "" {
			t.Errorf("a line of the log: got %v, want JSON with a time, level and message: %s", err, line)
		}
	}
}

// A sender that connects while the bridge starts gets its answer within a second, even if NATS accepts the
// connection and stays silent. If the machine stalls, the test tries again.
func TestStartWithSilentNATS(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nothing answers
	expect.NoError(t, err)
	defer silent.Close()
	poll.Until(t, "the answer comes within a second", func() bool {
		began := time.Now()
		b := start(t, "NATS_URL=nats://"+silent.Addr().String())
		c := b.dial()
		c.write(request("flock", "{}"))
		c.read("POST")
		took := time.Since(began)
		expect.NoError(t, b.stop())
		return took < time.Second
	})
}

// While NATS hasn't answered, a bridge that has just started isn't ready: the first deliveries needn't go
// through the spool.
func TestReadyAfterFirstCheck(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer silent.Close()
	began := time.Now()
	b := start(t, "NATS_URL=nats://"+silent.Addr().String())
	b.await("ready by its spool", func() bool { return len(b.durability().Reasons) == 0 })
	if took := time.Since(began); took < settleReady {
		t.Errorf("ready after %s, though NATS may still answer", took)
	}
}
