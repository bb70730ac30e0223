package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// ledger records deliveries and answers.
type ledger struct {
	mu      sync.Mutex
	answers map[string]string // by event
	counts  map[string]int    // by answer
}

// line is a line of output.
type line struct {
	Time    time.Time      `json:"time"`
	Sent    int            `json:"sent,omitempty"`
	Answers map[string]int `json:"answers,omitempty"`
	Event   string         `json:"event,omitempty"` // with Answer and Over: one that was not accepted
	Answer  string         `json:"answer,omitempty"`
	Over    string         `json:"over,omitempty"`
	Verdict *verdict       `json:"verdict,omitempty"`
}

var printing sync.Mutex

func (l line) print() {
	l.Time = time.Now().UTC()
	printing.Lock()
	defer printing.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(l)
}

func isAccepted(answer string) bool { return strings.HasPrefix(answer, "200 ") }

// note records an answer.
func (l *ledger) note(id, answer, over string) {
	l.mu.Lock()
	l.answers[id] = answer
	key, _, _ := strings.Cut(answer, ":")
	l.counts[key]++
	l.mu.Unlock()
	if !isAccepted(answer) {
		line{Event: id, Answer: answer, Over: over}.print()
	}
}

func (l *ledger) summary() line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return line{Sent: len(l.answers), Answers: maps.Clone(l.counts)}
}

// load sends RATE deliveries a second to URL, of both vendors, over kept and over new connections,
// at the same rate even if answers are slow.
func load(ctx context.Context) error {
	rate, err := strconv.Atoi(os.Getenv("RATE"))
	if err != nil || rate < 1 {
		return fmt.Errorf("RATE: %q", os.Getenv("RATE"))
	}
	name := os.Getenv("RUN")
	l := &ledger{answers: make(map[string]string), counts: make(map[string]int)}
	type lane struct {
		*deliverer
		over string
	}
	var lanes []lane
	for _, p := range providers.All {
		for over, keep := range map[string]bool{"kept": true, "new": false} {
			d := &deliverer{url: os.Getenv("URL"), provider: p, client: client(keep)}
			d.key.Store(new(secret.New(os.Getenv("KEY_" + strings.ToUpper(p.Name)))))
			lanes = append(lanes, lane{d, over})
		}
	}
	tick, second := time.NewTicker(time.Second/time.Duration(rate)), time.NewTicker(time.Second)
	defer tick.Stop()
	defer second.Stop()
	var flying sync.WaitGroup
	for n := 0; ; {
		select {
		case <-tick.C:
			lane, id := lanes[n%len(lanes)], fmt.Sprintf("%s-%d", name, n)
			n++
			flying.Go(func() { l.note(id, lane.deliver(ctx, id), lane.over) })
		case <-second.C:
			l.summary().print()
			for _, lane := range lanes {
				if key, err := os.ReadFile(filepath.Join(control, lane.provider.Name+".new")); err == nil {
					lane.key.Store(new(secret.New(string(key))))
				}
			}
			if _, err := os.Stat(filepath.Join(control, "stop")); err == nil {
				flying.Wait()
				last := l.summary()
				last.Verdict, err = l.compare(ctx, name)
				last.print()
				return err
			}
		}
	}
}
