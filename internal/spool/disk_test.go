package spool

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// While less than the reserve is free, the spool isn't writable. It doesn't say that it is because a small
// write succeeds.
func TestFullDiskIsNotWritable(t *testing.T) {
	for name, failure := range map[string]error{"refused before the write": nil, "the write fails": syscall.ENOSPC} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			f := open(t, "spool", on(m))
			f.keeps("a")
			m.mu.Lock()
			m.fails = func(c call) error {
				if c.name == "pwrite" && len(c.data) > 100 { // not for a probe
					m.full.Store(true) // not before: the committer may measure at any time
					return failure
				}
				return nil
			}
			m.mu.Unlock()
			if failure != nil {
				expect.ErrorIs(t, failure, f.Append(t.Context(), message("b"), attempted), "the error")
			}
			m.full.Store(true)
			poll.Until(t, "it was measured, and probed", func() bool { s := f.Stats(); return s.FreeBytes == 0 && s.Err == nil })
			expect.ErrorIs(t, ErrNoDisk, f.Append(t.Context(), message("b"), attempted), "the error")
			if f.Stats().IsWritable {
				t.Error("it is writable")
			}
			m.full.Store(false)
			poll.Until(t, "it is writable", func() bool { return f.Stats().IsWritable })
			poll.Until(t, "that is logged", func() bool { return f.logs.Len() > 1 })
			var logged []string
			for _, entry := range f.logs.All() {
				logged = append(logged, entry.Message)
			}
			expect.Equal(t, []string{"spool can't be written: while NATS is away, events are refused; trying again every second", "spool can be written again"}, logged, "the log")
		})
	}
}

// While the disk doesn't answer there is no room, and the last write has not succeeded.
func TestDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		f := open(t, "spool", on(m))
		f.keeps("a")
		answers := make(chan struct{})
		m.fails = func(call) error {
			<-answers
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), hungAfter)
		defer cancel()
		expect.ErrorIs(t, context.DeadlineExceeded, f.Append(ctx, message("b"), attempted), "the error")
		expect.NoError(t, f.Room(1))
		time.Sleep(hungAfter)
		expect.ErrorIs(t, ErrSlow, f.Room(1), "room")
		expect.ErrorIs(t, ErrSlow, f.Stats().Err, "the last write")
		close(answers)
		synctest.Wait()
		expect.NoError(t, f.Room(1))
		expect.NoError(t, f.Stats().Err)
		f.holds("a", "b")
	})
}
