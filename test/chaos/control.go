//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// A shared machine stalls now and then, and so may this program, which measures the times. So that
// this isn't attributed to the bridge, a handler that does nothing, in a process of its own, is
// called all the time by a goroutine that is scheduled like the senders': while it stalled,
// anything may have.

const envControl = "CHAOS_CONTROL"

// serveControl is that process.
func serveControl(addr string) error {
	server := &http.Server{Addr: addr, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})}
	return server.ListenAndServe()
}

// standstill is the shortest stall that counts. A busy machine delays each goroutine a little, all
// the time; that is no excuse.
const standstill = 100 * time.Millisecond

// control records when the machine itself was late.
type control struct {
	proc *process.Process
	addr string
	lock sync.Mutex
	late []window // standstills: questions that waited long for their answer, or for being asked
	most time.Duration
}

// startControl starts the process and calls it until the context ends.
func startControl(ctx context.Context, output string) (*control, error) {
	addrs, err := process.FreeAddrs(1)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	c := &control{addr: addrs[0]}
	if c.proc, err = process.Start("control", output, []string{envControl + "=" + c.addr}, self); err != nil {
		return nil, err
	}
	if err := poll.Try(ctx, 10*time.Second, "the control listens", c.ask); err != nil {
		return nil, err
	}
	go c.run(ctx)
	return c, nil
}

func (c *control) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addr, bytes.NewReader(make([]byte, 700)))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

func (c *control) run(ctx context.Context) {
	const between = 5 * time.Millisecond
	defer c.proc.Kill()
	for due := time.Now(); ctx.Err() == nil; {
		err := c.ask(ctx)
		now := time.Now()
		c.lock.Lock()
		took := now.Sub(due)
		c.most = max(c.most, took)
		if err == nil && took > standstill {
			c.late = append(c.late, window{from: due, to: now})
		}
		c.lock.Unlock()
		due = now.Add(between)
		rest(ctx, between)
	}
}

// excess returns for how long the machine stalled between two moments. A stall is known only after
// its end: call it a little later.
func (c *control) excess(from, to time.Time) (sum time.Duration) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for i := len(c.late) - 1; i >= 0 && !c.late[i].to.Before(from); i-- {
		sum += max(0, earlier(to, c.late[i].to).Sub(later(from, c.late[i].from)))
	}
	return sum
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
