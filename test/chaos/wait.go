//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// patiently is how long is waited for what comes by itself. It says that it comes, not how fast it is.
const patiently = 90 * time.Second

// until tries again until it succeeds. A try that a server never answers ends after a while, too.
func until(ctx context.Context, within time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		once, end := context.WithTimeout(ctx, 3*time.Second)
		err := try(once)
		end()
		switch {
		case err == nil:
			return nil
		case last == nil || ctx.Err() == nil: // that our own time is over says nothing
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, last)
		case <-tick.C:
		}
	}
}
