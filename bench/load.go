package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load is how a target is loaded.
type load struct {
	connections int
	rate        float64 // deliveries a second, whatever becomes of them (open loop); 0: each connection as fast as it is answered (closed loop)
	forge       bool    // wrong signatures
	padding     int     // bytes by which bodies are longer than usual
	http        bool    // sent by net/http's client
	endpoint    string  // of another name than flock; "" for that
}

// result is what one round showed.
type result struct {
	answers int64
	took    time.Duration
	latency *hdrhistogram.Histogram // µs
}

func (r result) perSecond() float64 { return float64(r.answers) / r.took.Seconds() }

// quantile is in microseconds.
func (r result) quantile(q float64) float64 { return float64(r.latency.ValueAtQuantile(q)) }

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, requestTimeout.Microseconds(), 3)
}

// clients opens the load's connections.
func (l load) clients(addr string) ([]*client, error) {
	clients := make([]*client, l.connections)
	for i := range clients {
		c, err := dial(addr, l)
		if err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		clients[i] = c
	}
	return clients, nil
}

// run loads the target for that long over the clients.
//
// In an open loop a delivery's time runs from when it was due, not from when a connection was free
// to send it: a target that stalls has the stall in every delivery that was due meanwhile. To
// measure from the sending would leave them out (coordinated omission).
func (l load) run(clients []*client, duration time.Duration) (result, error) {
	wanted := http.StatusOK
	if l.forge {
		wanted = http.StatusUnauthorized
	}
	var next atomic.Int64 // delivery of the open loop
	began := time.Now()
	end := began.Add(duration)
	histograms := make([]*hdrhistogram.Histogram, len(clients))
	errs := make([]error, len(clients))
	var all sync.WaitGroup
	for i, c := range clients {
		histograms[i] = newHistogram()
		all.Go(func() {
			for errs[i] == nil {
				c.prepare()
				due := time.Now()
				if l.rate > 0 {
					due = began.Add(time.Duration(float64(next.Add(1)-1) / l.rate * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				if !due.Before(end) {
					return
				}
				errs[i] = c.expect(wanted)
				_ = histograms[i].RecordValue(max(1, time.Since(due).Microseconds())) // longer ones are errors
			}
		})
	}
	all.Wait()
	r := result{took: time.Since(began), latency: newHistogram()}
	for _, h := range histograms {
		r.latency.Merge(h)
	}
	r.answers = r.latency.TotalCount()
	return r, errors.Join(errs...)
}
