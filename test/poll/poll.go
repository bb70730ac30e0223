// Package poll waits for conditions, in tests and in the programs that test the bridge. It never
// judges how long a condition takes: the bounds are those of a slow, busy machine.
package poll

import (
	"context"
	"fmt"
	"time"
)

// Bound is how long a condition may take.
const Bound = 3 * time.Minute

// Holds waits until a condition holds, and reports whether it did.
func Holds(condition func() bool) bool {
	for deadline := time.Now().Add(Bound); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// TB is what Until needs of a test; [pgregory.net/rapid]'s have it, too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Until waits until a condition holds, and fails the test if it never does.
func Until(t TB, what string, condition func() bool) {
	t.Helper()
	if !Holds(condition) {
		t.Fatalf("not within %s: %s", Bound, what)
	}
}

// Try tries again until it succeeds. A try that is never answered ends after a while, too.
func Try(ctx context.Context, within time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		once, end := context.WithTimeout(ctx, 3*time.Second)
		err := try(once)
		end()
		switch {
		case err == nil:
			return nil
		case last == nil || ctx.Err() == nil: // that our own time is over is no reason
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, last)
		case <-tick.C:
		}
	}
}
