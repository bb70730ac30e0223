package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// allocationBudget is the highest number of our own allocations for one event with a canonical body,
// from the handler's first line to its last, without net/http's and without publishing. ADR 13
// says what is reused. It only goes down. Under the race detector sync.Pool drops items at random.
const allocationBudget = 13

// forgotten is the number of items that may be dropped: a scanner, the state of a MAC and of a
// hash.
const forgotten = 8

func TestAllocationBudget(t *testing.T) {
	ours, err := allocations()
	expect.NoError(t, err)
	if raceEnabled {
		ours -= forgotten
	}
	t.Logf("%.0f allocations an event, %d allowed", ours, allocationBudget)
	if ours > allocationBudget {
		t.Errorf("%.0f allocations an event, only %d are allowed", ours, allocationBudget)
	}
}

// onProcessor reports the processor time of each iteration. On a busy machine it tells more than
// the clock.
func onProcessor(b *testing.B) func() {
	began := processorTime()
	return func() { b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkVerify(b *testing.B) {
	content := body(1)
	text, err := stringify.Parse(content)
	expect.NoError(b, err)
	r := verify.Request{
		Header: http.Header{flock.Provider.Signature.Header: {sign(content)}}, Raw: content, Body: text, Secrets: []secret.Secret{key},
		Scheme: verify.Auto, Tolerance: flock.Provider.Time.Tolerance, Now: time.Now(),
	}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	defer onProcessor(b)()
	for b.Loop() {
		expect.NoError(b, expect.Err(flock.Provider.Verify(r)))
	}
}

func BenchmarkCanonical(b *testing.B) { parse(b, body(1)) }

func BenchmarkEnvelope(b *testing.B) {
	content := body(1)
	id := "4463c78d-9b08-48a4-af38-e90aa6ca4cf7"
	attributes := event.Event{
		Provider: "flock", Event: "invitee.rewarded", Entity: "invitee", EntityID: id, UserID: id, Time: "2026-01-02T03:04:05Z", Signed: "payload", Data: content,
	}
	received := time.Now()
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	defer onProcessor(b)()
	for b.Loop() {
		attributes.ID = event.ID("flock", [][]byte{content}, nil)
		e := event.New(attributes, "flock", "com.withflock.", received)
		_ = e.Encode()
		_ = event.Subject("webhooks", "flock", e.Event)
	}
}

func BenchmarkRewriting(b *testing.B) { parse(b, spaced(largeBody(128<<10))) }

func BenchmarkLarge(b *testing.B) { parse(b, largeBody(512<<10)) }

func parse(b *testing.B, content []byte) {
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	defer onProcessor(b)()
	for b.Loop() {
		expect.NoError(b, expect.Err(stringify.Parse(content)))
	}
}

func BenchmarkLargeLeast(b *testing.B) {
	content := largeBody(512 << 10)
	b.SetBytes(int64(len(content)))
	defer onProcessor(b)()
	for b.Loop() {
		if !jsontext.Value(content).IsValid() {
			b.Fatal("what is valid isn't")
		}
	}
}

func BenchmarkHandler(b *testing.B) {
	h := handler(kept{})
	d := newDelivery(body(1), h)
	b.ReportAllocs()
	defer onProcessor(b)()
	for b.Loop() {
		d.to(d.handler)
	}
}
