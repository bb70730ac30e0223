package spool

import (
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// failOnce makes the next sync and the next removal of a file fail, and returns which have.
func failOnce(m *memory) (failed map[string]bool) {
	failed = make(map[string]bool)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = func(c call) error {
		if (c.name == "fsync" || c.name == "unlink") && !failed[c.name] {
			failed[c.name] = true
			return errIO
		}
		return nil
	}
	return failed
}

// A new file that can't be written nor removed stays in the directory. It hides no record of the
// file that is begun in its place, and no next start takes it for damage.
func TestFailedFileStays(t *testing.T) {
	for range 20 { // the order of two files of one number is random
		m := newMemory()
		f := open(t, "spool", on(m))
		failed := failOnce(m)
		f.keeps("a")
		f.keeps("b")
		f.close()
		if !failed["fsync"] || !failed["unlink"] {
			t.Fatal("not all calls failed:", failed)
		}
		m.fails = nil
		f = open(t, "spool", on(m.afterPowerLoss(nil)))
		f.holds("a", "b")
		expect.Equal(t, 0, f.logs.Len(), "messages at the next start")
		f.close()
	}
}

// A new file that stays in vain doesn't hide that the file before it has become shorter.
func TestFailedFileHidesNoLoss(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	first := f.journals[0].all()[0].path
	f.close()
	f = open(t, "spool", on(m))
	f.holds("a")
	failOnce(m)
	f.keeps("b")
	f.close()
	m.fails = nil
	m = m.afterPowerLoss(nil)
	delete(m.live, "spool/mark") // so that the next file alone knows the length
	m.live[first].live = m.live[first].live[:len(m.live[first].live)-1]
	f = open(t, "spool", on(m))
	f.holds("b")
	expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(), "losses logged")
	f.close()
}

// The system may have forgotten what it could not sync, and still show it to the next process. A
// message that was refused for that and comes again is kept only once it is durable.
func TestUnsyncedMessageComesAgain(t *testing.T) {
	for _, stillFails := range []bool{false, true} {
		m := newMemory()
		f := open(t, "spool", on(m))
		f.keeps("a")
		var fails atomic.Bool
		m.mu.Lock()
		m.fails = func(c call) error {
			if c.name == "fsync" && fails.Load() {
				return errIO
			}
			return nil
		}
		m.mu.Unlock()
		fails.Store(true)
		expect.ErrorIs(t, syscall.EIO, f.Append(t.Context(), message("b"), attempted), "the first answer")
		f.close()
		fails.Store(stillFails)
		f = open(t, "spool", on(m))
		err := f.Append(t.Context(), message("b"), attempted)
		if stillFails {
			expect.ErrorIs(t, syscall.EIO, err, "the answer")
		} else {
			expect.NoError(t, err)
			after := open(t, "spool", on(m.afterPowerLoss(nil)))
			after.holds("a", "b")
		}
		f.close()
		if len(m.violated) > 0 {
			t.Error(m.violated)
		}
	}
}
