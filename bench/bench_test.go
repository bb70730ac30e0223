package bench

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/endpoint"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/natsd"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

var key = secret.New("benchmark")

// body is a usual body of Flock's, 700 bytes; each n is another event.
func body(n int64) []byte {
	return fmt.Appendf(nil, `{"name":"invitee.rewarded","entity":"invitee","entityId":"4463c78d-9b08-48a4-af38-e90aa6ca4cf7","data":{"campaignId":"a4afaa2e-bdb5-4393-acdd-17b545ed66d2",`+
		`"referrer":{"id":"2568f7c3-6dd4-4db1-a1b6-b4666f6042a0","email":"jane.doe+flock@example.co.uk","name":"Jane Doe"},"invitee":{"id":"4463c78d-9b08-48a4-af38-e90aa6ca4cf7","email":"m@example.com"},`+
		`"inviteeReward":{"id":"c_reward_%012d","name":null,"type":"payout","party":"referrer","method":"paypal","payoutAmount":12.5,"discountAmount":null,"discountPercentage":0.1,`+
		`"currency":"usd","limit":1000000,"limitUnit":null,"limitInterval":null,"createdAt":"2025-11-22T00:00:00.000Z","updatedAt":"2025-11-22T00:00:00.007Z"}},"timestamp":%d}`, n, time.Now().Unix())
}

func sign(body []byte) string { return hex.EncodeToString(verify.Sum(key, body)) }

type silent struct{}

func (silent) Observe(ingest.Record) {}

func handler(publisher ingest.Publisher) *ingest.Handler {
	return ingest.New(ingest.Config{
		Endpoints: []endpoint.Endpoint{{
			Name: "flock", Provider: verify.Flock, Scheme: verify.Auto, Tolerance: verify.Flock.Tolerance,
			Secrets: func() []secret.Secret { return []secret.Secret{key} },
		}},
		SubjectPrefix: "webhooks", MaxBodyBytes: 1 << 20, MaxInFlightBytes: 1 << 30, Publisher: publisher, Observer: silent{}, Now: time.Now,
	})
}

// kept is a publisher for which everything is durable at once.
type kept struct{}

func (kept) Publish(context.Context, durable.Message) (durable.Status, error) {
	return durable.Stored, nil
}

// answer is a response writer that keeps nothing but the status.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header             { return a.header }
func (a *answer) WriteHeader(status int)          { a.status = status }
func (a *answer) Write(b []byte) (int, error)     { return len(b), nil }
func (a *answer) SetReadDeadline(time.Time) error { return nil }

// allocationBudget is how many allocations of our own one event with a canonical body may make, from
// the handler's first line to its last, without net/http's and without publishing. It only goes down. It is 38 now; under the race detector,
// where sync.Pool forgets at random, one or two more.
const allocationBudget = 40

func TestAllocationBudget(t *testing.T) {
	h := handler(kept{})
	content := body(1)
	signature := sign(content)
	run := func() int {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/flock", nil)
		r.Header.Set("X-Flock-Signature", signature)
		r.Body = io.NopCloser(bytes.NewReader(content))
		a := answer{header: http.Header{}}
		h.ServeHTTP(&a, r)
		return a.status
	}
	if status := run(); status != http.StatusOK {
		t.Fatal("answered", status)
	}
	h2 := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	setup := testing.AllocsPerRun(200, func() {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/flock", nil)
		r.Header.Set("X-Flock-Signature", signature)
		r.Body = io.NopCloser(bytes.NewReader(content))
		h2.ServeHTTP(&answer{header: http.Header{}}, r)
	})
	ours := testing.AllocsPerRun(200, func() { run() }) - setup
	t.Logf("%.0f allocations an event, %d allowed", ours, allocationBudget)
	if ours > allocationBudget {
		t.Errorf("%.0f allocations an event, only %d are allowed", ours, allocationBudget)
	}
}

func BenchmarkVerify(b *testing.B) {
	content := body(1)
	text, err := stringify.Parse(content)
	if err != nil {
		b.Fatal(err)
	}
	r := verify.Request{
		Body: text, Signatures: []string{sign(content)}, Secrets: []secret.Secret{key},
		Scheme: verify.Auto, Tolerance: verify.Flock.Tolerance, Now: time.Now(),
	}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify.Flock.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	content := body(1)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := stringify.Parse(content); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEnvelope(b *testing.B) {
	content := body(1)
	facts := event.Facts{
		Endpoint: "flock", Provider: "flock", TypePrefix: "com.withflock.", Name: "invitee.rewarded", Entity: "invitee", EntityID: "4463c78d-9b08-48a4-af38-e90aa6ca4cf7",
		UserID: "4463c78d-9b08-48a4-af38-e90aa6ca4cf7", Time: "2026-01-02T03:04:05Z", Received: time.Now(), Signed: "payload", Body: content,
	}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		facts.ID = event.ID("flock", [][]byte{content}, nil)
		e := event.New(facts)
		_ = e.Append(make([]byte, 0, len(content)+1024))
		_ = event.Subject("webhooks", "flock", e.Event)
	}
}

// BenchmarkRoad sends deliveries over real HTTP, 32 at a time, to the floor and to the bridge in
// turn, with one nats-server behind both, and reports the bridge's time as a ratio to the floor's.
// It is wall time, on a machine that load, server and both handlers share.
func BenchmarkRoad(b *testing.B) {
	server, err := natsd.Start(natsd.Config{Addr: "127.0.0.1:0", Dir: b.TempDir(), Log: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Stop()
	publisher, err := publish.Open(publish.Config{
		Server: publish.Server{Name: "bench", URL: server.URL()}, Timeout: 10 * time.Second, Log: zap.NewNop(),
		Stream: publish.Stream{Name: "WEBHOOKS", Prefix: "webhooks", Endpoints: []string{"flock"}, Manage: true, Replicas: 1, Duplicates: time.Minute},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = publisher.Close(context.Background()) }()
	publisher.Settle(context.Background(), 10*time.Second)
	nc, err := nats.Connect(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	floor := httptest.NewServer(Floor{Secret: key.Key(), Subject: "webhooks.flock.floor", JS: js})
	defer floor.Close()
	bridge := httptest.NewServer(handler(publisher))
	defer bridge.Close()

	const connections, round = 32, 500
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var n atomic.Int64
	send := func(url string) time.Duration {
		began := time.Now()
		var left atomic.Int64
		left.Store(round)
		done := make(chan error, connections)
		for range connections {
			go func() {
				for left.Add(-1) >= 0 {
					if err := post(client, url, body(n.Add(1))); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range connections {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(began)
	}
	send(floor.URL) // warm
	send(bridge.URL + "/webhooks/flock")
	var floorTime, bridgeTime time.Duration
	b.ResetTimer()
	for b.Loop() {
		floorTime += send(floor.URL)
		bridgeTime += send(bridge.URL + "/webhooks/flock")
	}
	b.ReportMetric(float64(bridgeTime)/float64(floorTime), "ratio-to-floor")
}

func post(client *http.Client, url string, content []byte) error {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("X-Flock-Signature", sign(content))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s: %s", response.Status, strings.TrimSpace(string(said)))
	}
	return nil
}
