//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// bridge is one instance: an address and a DATA_DIR, and the process while it runs.
type bridge struct {
	name, public, admin string
	dir, log            string
	command             []string // the binary, with what it is run under
	env                 []string
	count               func(what string, n int)
	client              *http.Client // for the admin side
	life                atomic.Int64 // how often it was started
	starvation          starvation

	lock    sync.Mutex
	proc    *process.Process
	away    []window // when it didn't run, or was paused
	last    metrics  // of this life
	before  metrics  // of all earlier ones, summed up
	breaker bool     // open, when last looked
	began   metrics  // of this life, before it was used
}

// window is a span of time; its end is zero while it lasts.
type window struct {
	from, to time.Time
	why      string
}

// The reasons why a bridge may be late or not answer. A bridge that is stopping has no such reason.
const (
	killed   = "killed"
	paused   = "paused"
	stopping = "stopping"
)

func (w window) touches(from, to time.Time) bool {
	return !w.from.After(to) && (w.to.IsZero() || !w.to.Before(from))
}

// start starts the bridge unless it runs, and returns once it listens.
func (b *bridge) start(ctx context.Context) error {
	b.lock.Lock()
	if b.proc.Runs() {
		b.lock.Unlock()
		return nil
	}
	b.life.Add(1)
	proc, err := process.Start(b.name, b.log, b.env, b.command...)
	b.proc = proc
	b.lock.Unlock()
	if err != nil {
		return err
	}
	if err := poll.Try(ctx, patiently, b.name+" listens", func(ctx context.Context) error {
		if !proc.Runs() {
			return fmt.Errorf("it has ended: %w", proc.Err)
		}
		_, err := b.scrape(ctx)
		return err
	}); err != nil {
		return err
	}
	b.back()
	return nil
}

func (b *bridge) gone(why string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.away = append(b.away, window{from: time.Now(), why: why})
}

// back ends every absence. Working off the backlog counts as a part of it.
func (b *bridge) back() {
	b.lock.Lock()
	defer b.lock.Unlock()
	for i := range b.away {
		if b.away[i].to.IsZero() {
			b.away[i].to = time.Now()
		}
	}
}

// excuse returns why the bridge was away at any moment of that span; "" if it wasn't.
func (b *bridge) excuse(from, to time.Time) (why string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for _, w := range b.away {
		if w.touches(from, to) && (why == "" || why == stopping) {
			why = w.why
		}
	}
	return why
}

func (b *bridge) kill() {
	b.count(kills, 1)
	b.gone(killed)
	b.proc.Kill()
	b.ended()
}

func (b *bridge) pause() {
	b.count(pauses, 1)
	b.gone(paused)
	b.proc.Signal(syscall.SIGSTOP)
}

func (b *bridge) resume() {
	b.proc.Signal(syscall.SIGCONT)
	if b.proc.Runs() { // it may have been killed meanwhile
		b.back()
	}
}

// stop stops the bridge as an operator does.
func (b *bridge) stop() error {
	b.count(restarts, 1)
	b.gone(stopping)
	err := b.proc.Stop(40 * time.Second)
	b.ended()
	return err
}

// ended adds the last metrics of a process to those of earlier ones.
func (b *bridge) ended() {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.before == nil {
		b.before = make(metrics)
	}
	for series, value := range b.last {
		b.before[series] += value
	}
	b.last, b.breaker = nil, false
}

// scrape reads the metrics and notes what changed.
func (b *bridge) scrape(ctx context.Context) (metrics, error) {
	life := b.life.Load()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	m, err := scrape(ctx, b.client, b.admin)
	if err != nil {
		return nil, err
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.life.Load() == life && b.proc.Runs() {
		b.last = m
		open := m.sum("webhook_bridge_breaker", `state="closed"`) == 0
		if open && !b.breaker {
			b.count(breakers, 1)
		}
		b.breaker = open
	}
	return m, nil
}

// watch scrapes until the context ends.
func (b *bridge) watch(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = b.scrape(ctx)
		}
	}
}

// counters returns the metrics of all its processes, as far as they were scraped.
func (b *bridge) counters() metrics {
	b.lock.Lock()
	defer b.lock.Unlock()
	all := make(metrics)
	for _, m := range []metrics{b.before, b.last} {
		for series, value := range m {
			all[series] += value
		}
	}
	return all
}

// waiting returns how many records are in its spool and not set aside.
func (b *bridge) waiting(ctx context.Context) (int, error) {
	m, err := b.scrape(ctx)
	return int(m.sum("webhook_bridge_spool_events")), err
}

// ready asks /readyz.
func (b *bridge) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.admin+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := b.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// pid returns its process id; 0 if it doesn't run.
func (b *bridge) pid() int {
	b.lock.Lock()
	defer b.lock.Unlock()
	if !b.proc.Runs() {
		return 0
	}
	return b.proc.PID()
}

// left lists unexpected files in its directory and its spool's after it has ended.
func (b *bridge) left(belongs ...string) (left []string, err error) {
	for dir, belong := range map[string][]string{b.dir: append(belongs, "spool"), filepath.Join(b.dir, "spool"): {"mark", "spool.lock"}} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("looking for files left: %w", err)
		}
		for _, e := range entries {
			if isWindow, _ := filepath.Match("window-*.json", e.Name()); isWindow {
				continue
			}
			if !slices.Contains(belong, e.Name()) && filepath.Ext(e.Name()) != ".v2" { // a segment of the spool
				left = append(left, filepath.Join(dir, e.Name()))
			}
		}
	}
	return left, nil
}

// blabbed searches its log for a secret or a body.
func (b *bridge) blabbed() error {
	text, err := os.ReadFile(b.log)
	if err != nil {
		return fmt.Errorf("reading log: %w", err)
	}
	for _, never := range []string{"of this run", "xxxxxxxxxxxxxxxx", "foreignUserId"} {
		if bytes.Contains(text, []byte(never)) {
			return fmt.Errorf("the log of %s has %q in it", b.name, never)
		}
	}
	return nil
}
