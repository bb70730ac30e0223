package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
)

// These are measured in this process: a delivery from the handler's first line to its last, without
// net/http and NATS.

// kept is a publisher that stores everything at once.
type kept struct{}

func (kept) Publish(context.Context, time.Time, publish.Message) (publish.Status, error) {
	return publish.Stored, nil
}

func handler(publisher ingest.Publisher) *ingest.Handler {
	secrets := []secret.Secret{key}
	return ingest.New(ingest.Config{
		Endpoints: []verify.Endpoint{{
			Name: "flock", Provider: &flock.Provider, Scheme: verify.Auto, Tolerance: flock.Provider.Time.Tolerance,
			Secrets: func() []secret.Secret { return secrets },
		}},
		SubjectPrefix: "webhooks", MaxBodyBytes: 8 << 20, MaxInFlightBytes: 1 << 30, Publisher: publisher, Observe: func(*ingest.Record) {}, Now: time.Now,
	})
}

// answer is a response writer that keeps nothing but the status.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return len(b), nil }

// delivery is one that can be handed to a handler again and again.
type delivery struct {
	content   []byte
	signature string
	handler   http.Handler    // of the connection's server
	ctx       context.Context // has the connection
}

// one is a listener that accepts one connection.
type one struct{ net.Conn }

func (l one) Accept() (net.Conn, error) { return l.Conn, nil }
func (l one) Addr() net.Addr            { return l.LocalAddr() }

// newDelivery returns a delivery that comes by a connection of h, on which nothing is sent.
func newDelivery(content []byte, h *ingest.Handler) delivery {
	accepted, _ := net.Pipe()
	server := h.Server(nil)
	c, _ := h.Conns.Listen(server, one{accepted}, nil).Accept() // it has no error
	return delivery{content, sign(content), server.Handler, server.ConnContext(context.Background(), c)}
}

// to hands it to the handler and returns the status.
func (d delivery) to(h http.Handler) int {
	r := httptest.NewRequestWithContext(d.ctx, http.MethodPost, "/webhooks/flock", nil)
	r.Header.Set("X-Flock-Signature", d.signature)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(d.content)), int64(len(d.content))
	a := answer{header: http.Header{}}
	h.ServeHTTP(&a, r)
	return a.status
}

// allocations returns the number of our own allocations for one event with a canonical body,
// without those of net/http and of publishing.
func allocations() (float64, error) {
	h := handler(kept{})
	d := newDelivery(body(1), h)
	if status := d.to(d.handler); status != http.StatusOK {
		return 0, fmt.Errorf("answered %d", status)
	}
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	without := testing.AllocsPerRun(200, func() { d.to(nothing) })
	return testing.AllocsPerRun(200, func() { d.to(d.handler) }) - without, nil
}

// largeRatio compares the cost of a body of 512 KB with the least that any receiver must do with
// it: validate it, hash it twice, for its signature and its id, and copy it once.
func largeRatio(n int) (float64, error) {
	content := largeBody(512 << 10)
	h := handler(kept{})
	d := newDelivery(content, h)
	var copied []byte
	least := func() {
		valid := jsontext.Value(content).IsValid()
		one, two := sha256.Sum256(content), sha256.Sum256(content)
		if !valid || one != two {
			panic("what is valid isn't")
		}
		copied = bytes.Clone(content) // a message of its own
	}
	if status := d.to(d.handler); status != http.StatusOK {
		return 0, fmt.Errorf("answered %d", status)
	}
	ratios := make([]float64, n)
	for i := range ratios {
		floor := timed(10, least)
		ratios[i] = float64(timed(10, func() { d.to(d.handler) })) / float64(floor)
	}
	if !bytes.Equal(copied, content) {
		return 0, errors.New("the copy isn't one")
	}
	return middle(ratios), nil
}

// timed returns the processor time of a function. Other processes on the machine hardly change it.
func timed(times int, do func()) time.Duration {
	began := processorTime()
	for range times {
		do()
	}
	return processorTime() - began
}

// sizes are the lengths of the bodies that show that S(x) is linear.
var sizes = []int{1 << 10, 16 << 10, 128 << 10, 1 << 20}

// rewriting returns the MB per second at which S(x) is computed, for bodies of those sizes that are
// nowhere canonical.
func rewriting(n int) ([]float64, error) {
	var speeds []float64
	for _, size := range sizes {
		content := spaced(largeBody(size))
		text, err := stringify.Parse(content)
		if err != nil {
			return nil, err
		}
		if len(text) >= len(content) {
			return nil, errors.New("the body is canonical")
		}
		times := max(1, (4<<20)/size)
		rounds := make([]float64, n)
		for i := range rounds {
			took := timed(times, func() { _, err = stringify.Parse(content) })
			rounds[i] = float64(times*len(content)) / 1e6 / took.Seconds()
		}
		speeds = append(speeds, middle(rounds))
	}
	return speeds, nil
}

// slowest returns the lowest of the speeds.
func slowest(speeds []float64) float64 { return slices.Min(speeds) }
