//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A bridge under strace waits for a core twice, for its own threads and for its tracer, at every
// signal that Go's runtime sends itself. On a busy machine that is much longer than the control
// waits. Linux tells for each thread how long it was ready to run and had no core. The sum over
// threads is more than any answer waited, so it is used for nothing else.

// starvation is how long the threads of traced processes and of their tracers had no core, over
// time.
type starvation struct {
	lock    sync.Mutex
	samples []starved
}

type starved struct {
	at    time.Time
	pid   int
	total time.Duration
}

// watch takes samples until the context ends. pid returns 0 while there is no process.
func (s *starvation) watch(ctx context.Context, pid func() int) {
	for ctx.Err() == nil {
		one := pid()
		if tracer := tracerOf(one); tracer != 0 {
			now := starved{time.Now(), one, withoutCore(one) + withoutCore(tracer)}
			s.lock.Lock()
			s.samples = append(s.samples, now)
			s.lock.Unlock()
		}
		rest(ctx, 100*time.Millisecond)
	}
}

// between returns for how long they had none between two moments, by the samples around them.
func (s *starvation) between(from, to time.Time) time.Duration {
	s.lock.Lock()
	defer s.lock.Unlock()
	var first, last starved
	for _, one := range s.samples {
		if first.pid == 0 || !one.at.After(from) || one.pid != first.pid {
			first = one
		}
		if last = one; !one.at.Before(to) {
			break
		}
	}
	return max(0, last.total-first.total)
}

// withoutCore returns how long the threads of a process have been ready to run without running.
func withoutCore(pid int) (total time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		var ran, waited int64
		if _, bad := fmt.Sscan(string(text), &ran, &waited); err == nil && bad == nil { // it may just have ended
			total += time.Duration(waited)
		}
	}
	return total
}

// tracerOf is the process that traces another one; 0 where none does.
func tracerOf(pid int) (tracer int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "TracerPid:")
	_, _ = fmt.Sscan(rest, &tracer)
	return tracer
}
