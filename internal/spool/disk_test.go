package spool

import (
	"context"
	"math"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// On a read-only disk the directory can't be created, but the free bytes are known.
func TestFreeWithoutDirectory(t *testing.T) {
	if free := (osDisk{}).free(filepath.Join(t.TempDir(), "missing")); free >= math.MaxInt64/2 {
		t.Errorf("%d bytes are free", free)
	}
}

// While less than the reserve is free, the spool isn't writable, even if a small write succeeds.
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

// A disk that doesn't answer at the start is logged.
func TestDiskHangsAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		answers := make(chan struct{})
		m.fails = func(call) error {
			<-answers
			return nil
		}
		time.AfterFunc(2*hungAfter, func() { close(answers) })
		f := open(t, "spool", on(m))
		expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.WarnLevel).Len(), "warnings")
		f.keeps("a")
	})
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
		expect.Equal(t, false, f.Stats().IsWritable, "writable")
		close(answers)
		synctest.Wait()
		expect.NoError(t, f.Room(1))
		expect.NoError(t, f.Stats().Err)
		f.holds("a", "b")
	})
}

// Bytes written since the disk was measured count as used, and so do those that wait for the disk.
func TestRoomUntilMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that no time passes
		m := newMemory()
		f := open(t, "spool", on(m))
		f.free.Store(reserve + 2*sizeOf(message("a")))
		f.keeps("a", "b")
		expect.ErrorIs(t, ErrNoDisk, f.Append(t.Context(), message("c"), attempted), "the error")
		f.free.Store(reserve + 2*sizeOf(message("a")))
		answers := make(chan struct{})
		m.failsIf(func(call) error { <-answers; return nil })
		for _, id := range []string{"d", "e"} {
			expect.NoError(t, expect.Err(f.enqueue(&Record{Message: message(id)})))
		}
		expect.ErrorIs(t, ErrNoDisk, expect.Err(f.enqueue(&Record{Message: message("f")})), "the error while two wait")
		close(answers)
	})
}

// Records that wait for the disk take a bounded amount of memory.
func TestUnwrittenBound(t *testing.T) {
	f := open(t, "spool", on(newMemory()))
	wait := func(bytes int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.unwritten[publish.Refused] = bytes
	}
	wait(maxUnwritten - sizeOf(message("a")))
	f.keeps("a")
	wait(maxUnwritten - sizeOf(message("b")) + 1)
	expect.ErrorIs(t, ErrSlow, f.Append(t.Context(), message("b"), attempted), "the error")
}
