//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
)

const flockSecret = "flock of this run"

// pace is a good sender's pause between two deliveries: a few senders, as vendors are, not a load test.
const pace = 20 * time.Millisecond

// good are the good senders: some keep their connection, as a proxy does, others open a new one
// each time.
type good struct {
	addr string
	tls  bool
	mu   sync.Mutex
	took []time.Duration
	said map[string]int  // how many answers there were of each status
	ids  map[string]bool // of all that was sent; true where it was accepted
}

func newGood(addr string, tls bool) *good {
	return &good{addr: addr, tls: tls, said: make(map[string]int), ids: make(map[string]bool)}
}

// url returns where deliveries go.
func (g *good) url() string {
	if g.tls {
		return "https://" + g.addr
	}
	return "http://" + g.addr
}

func (g *good) run(ctx context.Context) {
	var senders sync.WaitGroup
	for i := range 6 {
		senders.Go(func() {
			transport := &http.Transport{DisableKeepAlives: i%2 == 0, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			for n := 0; ctx.Err() == nil; n++ {
				g.send(client, fmt.Sprintf("good-%d-%d", i, n))
				time.Sleep(pace)
			}
		})
	}
	senders.Wait()
}

func (g *good) send(client *http.Client, name string) {
	body, signature, id := signed(name, 600)
	g.mu.Lock()
	g.ids[id] = false
	g.mu.Unlock()
	began := time.Now()
	a, err := post(context.Background(), client, g.url(), body, signature)
	took := time.Since(began)
	said := a.String()
	if err != nil {
		said = err.Error()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.took = append(g.took, took)
	g.said[said]++
	g.ids[id] = a.status == http.StatusOK && a.ID == id
}

// signed makes a delivery of about that length, with the expected id.
func signed(name string, size int) (body []byte, signature, id string) {
	data, err := json.Marshal(map[string]any{"invitee": map[string]string{"id": name}, "note": strings.Repeat("x", size)})
	if err == nil {
		body, err = flock.Provider.NewBody("invitee.accepted", data, name)
	}
	if err == nil {
		body, err = flock.Provider.Renew(body, time.Now())
	}
	if err == nil {
		signature = sign(flockSecret, body)
	}
	if err != nil {
		panic(err) // of this program
	}
	return body, signature, event.ID(flock.Provider.Name, [][]byte{body}, nil)
}

// answer is what was answered.
type answer struct {
	status int
	ID     string // of a 200
	Code   string // of anything else
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprint(a.status, " ", a.Code)) }

// post sends a delivery.
func post(ctx context.Context, client *http.Client, url string, body []byte, signature string) (a answer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/webhooks/flock", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	request.Header.Set(flock.Provider.Signature.Header, signature)
	response, err := client.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	var said struct{ ID, Code string }
	if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Content-Type") == "text/plain; charset=utf-8" {
		return answer{response.StatusCode, "", "busy"}, nil // there was no room for its head
	}
	err = json.Unmarshal(text, &said)
	return answer{response.StatusCode, said.ID, said.Code}, err
}

func (g *good) answers() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.said)
}

// accepted are the ids of the deliveries that were answered 200.
func (g *good) accepted() (ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, ok := range g.ids {
		if ok {
			ids = append(ids, id)
		}
	}
	return ids
}

func (g *good) sentID(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.ids[id]
	return ok
}

func (g *good) percentiles() (p50, p99, slowest time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.took) == 0 {
		return 0, 0, 0
	}
	slices.Sort(g.took)
	return g.took[len(g.took)/2], g.took[len(g.took)*99/100], g.took[len(g.took)-1]
}
