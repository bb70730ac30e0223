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
)

// A machine that others use stands still now and then. So that this isn't taken for the bridge's doing, a handler that
// does nothing, in a process of its own, is asked all the time: by as much as it is late, anything may be.

const envControl = "CHAOS_CONTROL"

// serveControl is what that process does.
func serveControl(addr string) error {
	server := &http.Server{Addr: addr, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})}
	return server.ListenAndServe()
}

// control knows how late the machine itself was.
type control struct {
	proc *process
	addr string
	lock sync.Mutex
	late []lateness
	most time.Duration
}

type lateness struct {
	window
	by time.Duration
}

// startControl starts the process and asks it until the context ends.
func startControl(ctx context.Context, output string) (*control, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	c := &control{addr: addr}
	if c.proc, err = spawn("control", output, []string{envControl + "=" + addr}, self); err != nil {
		return nil, err
	}
	if err := until(ctx, 10*time.Second, "the control listens", c.ask); err != nil {
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
	const worthNoting = 20 * time.Millisecond
	defer c.proc.kill()
	for ctx.Err() == nil {
		from := time.Now()
		err := c.ask(ctx)
		took := time.Since(from)
		c.lock.Lock()
		c.most = max(c.most, took)
		if err == nil && took > worthNoting {
			c.late = append(c.late, lateness{window{from: from, to: time.Now()}, took})
		}
		c.lock.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// excess is by how much the machine was late between two times: what it lost then, all together.
func (c *control) excess(from, to time.Time) (sum time.Duration) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for i := len(c.late) - 1; i >= 0 && !c.late[i].to.Before(from); i-- {
		if c.late[i].touches(from, to) {
			sum += c.late[i].by
		}
	}
	return sum
}
