package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event"
)

// verdict is the result of comparing the ledger with the stream.
type verdict struct {
	Accepted int      `json:"accepted"` // answered 200
	Stored   int      `json:"stored"`   // of those, in the stream
	Missing  int      `json:"missing"`  // of those, not
	Twice    int      `json:"twice"`    // in the stream more than once
	Unsent   int      `json:"unsent"`   // of this run in the stream, and not in the ledger
	Unknown  int      `json:"unknown"`  // in the stream without a 200: nobody was promised anything
	Examples []string `json:"examples,omitempty"`
}

// settles is the time in which spooled events must arrive.
const settles = 3 * time.Minute

// compare reads the stream until all accepted events are there, or no more come.
func (l *ledger) compare(ctx context.Context, run string) (v *verdict, err error) {
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("comparing: %w", err)
	}
	defer nc.Close()
	wait := settles
	if text := os.Getenv("SETTLES"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil {
			return nil, err
		}
	}
	for deadline := time.Now().Add(wait); ; time.Sleep(2 * time.Second) {
		stored, err := read(ctx, nc, run)
		if err != nil {
			if time.Now().Before(deadline) {
				continue
			}
			return nil, fmt.Errorf("comparing: %w", err)
		}
		if v = l.judge(stored); v.Missing == 0 || time.Now().After(deadline) {
			return v, nil
		}
	}
}

// judge compares; stored is how often each event of this run is in the stream.
func (l *ledger) judge(stored map[string]int) *verdict {
	v := &verdict{}
	example := func(what, id string) {
		if len(v.Examples) < 10 {
			v.Examples = append(v.Examples, what+" "+id)
		}
	}
	for id, answer := range l.answers {
		switch n := stored[id]; {
		case isAccepted(answer) && n == 0:
			v.Accepted++
			v.Missing++
			example("missing", id+" ("+answer+")")
		case isAccepted(answer):
			v.Accepted++
			v.Stored++
		case n > 0:
			v.Unknown++
		}
	}
	for id, n := range stored {
		if n > 1 {
			v.Twice++
			example("twice", id)
		}
		if _, ok := l.answers[id]; !ok {
			v.Unsent++
			example("unsent", id)
		}
	}
	return v
}

// read counts the run's events in the stream.
func read(ctx context.Context, nc *nats.Conn, run string) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, "WEBHOOKS")
	if err != nil {
		return nil, err
	}
	stored := make(map[string]int)
	left := stream.CachedInfo().State.Msgs
	if left == 0 {
		return stored, nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for ; left > 0; left-- {
		m, err := messages.Next(jetstream.NextMaxWait(20 * time.Second))
		if err != nil {
			return nil, err
		}
		e, err := event.Parse(m.Data())
		if err != nil {
			return nil, err
		}
		// Frigade's ids begin with the kind of thing.
		if id := strings.TrimPrefix(e.EntityID, "flowResponse_"); strings.HasPrefix(id, run+"-") {
			stored[id]++
		}
	}
	return stored, nil
}
