package spool

import (
	"bytes"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// failOnce makes the next sync and the next removal of a file fail. It returns the calls that have failed.
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

// failWhile makes calls with that name fail while the returned value is true. At first it is.
func failWhile(m *memory, name string) *atomic.Bool {
	var fails atomic.Bool
	fails.Store(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = func(c call) error {
		if c.name == name && fails.Load() {
			return errIO
		}
		return nil
	}
	return &fails
}

// failBothSyncs makes the next two syncs fail, and so the next write, which tries twice.
func failBothSyncs(m *memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	syncs := 0
	m.fails = func(c call) error {
		if c.name != "fsync" || syncs == 2 {
			return nil
		}
		syncs++
		return errIO
	}
}

// A new file that can be neither written nor removed stays in the directory. It hides no record of the file
// that takes its place, and is no damage for the next start.
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

// A file that was cut short is reported, although a crash may have done it before the write was answered.
func TestShorterFile(t *testing.T) {
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
	m.live[first].live = m.live[first].live[:len(m.live[first].live)-recordHeader-1]
	f = open(t, "spool", on(m))
	f.holds("b")
	expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.WarnLevel).Len(), "losses logged")
	f.close()
}

// However often a new file can't be written, the numbers don't run out.
func TestNumbersLast(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	fails := failWhile(m, "creat")
	for range 10 {
		expect.ErrorIs(t, syscall.EIO, f.Append(t.Context(), message("a"), attempted), "without a file")
	}
	fails.Store(false)
	f.keeps("a")
	if seq := f.all()[0].Seq; seq>>runBits > 0 {
		t.Errorf("the record has the number %x", seq)
	}
	f.close()
}

// After a failed write to one queue, damage at the end of another one still counts as damage.
func TestOthersAreSealed(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	q := message("q")
	q.Kind = publish.Quarantined
	expect.NoError(t, f.Append(t.Context(), q, attempted))
	other := f.journals[publish.Quarantined].all()[0].path
	failOnce(m)
	f.keeps("b")
	f.close()
	m.fails = nil
	m.live[other].live[recordHeader]++
	f = open(t, "spool", on(m))
	expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(), "losses logged")
	f.close()
}

// A process may end before the name of its new file is durable. The next process makes the name durable
// before it answers a message that the file has.
func TestNameThatIsNotDurable(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	m.mu.Lock()
	m.fails = func(c call) error {
		if c.name == "fsyncdir" || c.name == "unlink" {
			return errIO
		}
		return nil
	}
	m.mu.Unlock()
	expect.ErrorIs(t, syscall.EIO, f.Append(t.Context(), message("a"), attempted), "the first answer")
	m.mu.Lock()
	next := m.clone()
	m.mu.Unlock()
	f.close()
	f = open(t, "spool", on(next))
	f.keeps("a")
	f.close()
	after := open(t, "spool", on(next.afterPowerLoss(nil)))
	after.holds("a")
	after.close()
}

// A message that the spool holds already is accepted on a full disk.
func TestHeldMessageComesAgainOnFullDisk(t *testing.T) {
	m := refuses(t)
	m.fails = func(c call) error {
		if i := m.inode(c.inode); c.name == "creat" || c.name == "pwrite" && c.offset+int64(len(c.data)) > int64(len(i.live)) {
			return syscall.ENOSPC
		}
		return nil
	}
	keepsForGood(t, m, "b", "a", "b")
}

// If the mark can't be read at a start, the numbers begin at 1 again. At the next start the mark must not
// hide the records that were appended since.
func TestMarkThatCannotBeReadOnce(t *testing.T) {
	sample := func() *memory {
		m := newMemory()
		f := open(t, "spool", on(m))
		f.keepsNumbered(12) // some files
		f.settle(f.all(), nil)
		f.close()
		open(t, "spool", on(m)).close() // removes the last of them
		return m
	}
	t.Run("the disk fails", func(t *testing.T) {
		m := sample()
		m.fails = func(c call) error {
			if c.name == "open" && filepath.Base(c.path) == markName {
				return errIO
			}
			return nil
		}
		open(t, "spool", on(m)).keeps("a")
		m.mu.Lock()
		killed := m.clone()
		m.mu.Unlock()
		open(t, "spool", on(killed)).holds("a")
	})
	t.Run("it isn't what is on disk", func(t *testing.T) {
		m := sample()
		mark := m.live[filepath.Join("spool", markName)]
		mark.live = append([]byte{^mark.live[0]}, mark.live[1:]...)
		open(t, "spool", on(m)).keeps("a")
		open(t, "spool", on(m.afterPowerLoss(nil))).holds("a")
	})
}

// Without a mark, delivered records are there again, and a message that comes again is a copy of one. After
// a loss of power the mark must not be back: it would hide that record.
func TestMarkStaysAway(t *testing.T) {
	for name, isFailing := range map[string]func(m *memory, c call) bool{
		"it can't be read": func(_ *memory, c call) bool { return c.name == "open" && filepath.Base(c.path) == markName },
		"it can't be written": func(m *memory, c call) bool {
			i := m.inode(c.inode)
			return c.name == "pwrite" && i != nil && i.isMark
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			f := open(t, "spool", on(m))
			f.keeps("a", "b")
			f.settle(f.all()[:1], nil)
			f.close()
			f = open(t, "spool", on(m))
			f.keeps("c") // makes the mark's name durable
			m.failsIf(func(c call) error {
				if isFailing(m, c) {
					return errIO
				}
				return nil
			})
			f.close()
			f = open(t, "spool", on(m))
			f.holds("a", "b", "c")
			f.keeps("a")
			m.mu.Lock()
			left := m.afterPowerLoss(nil)
			m.mu.Unlock()
			open(t, "spool", on(left)).holds("a", "b", "c")
		})
	}
}

// A directory that can't be synced doesn't keep the records from being delivered: that may make room.
func TestReadWhileDirectoryIsNotSynced(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a", "b")
	f.settle(f.all()[:1], nil)
	f.close()
	m.failsIf(func(c call) error {
		if c.name == "fsyncdir" {
			return syscall.ENOSPC
		}
		return nil
	})
	open(t, "spool", on(m)).holds("b")
}

// If a recovery has lost a record since it was read, Settle doesn't set it aside without counting it.
func TestLostRecordIsNotSetAside(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	records := f.all()
	records[0].Reason = "refused"
	m.mu.Lock()
	i := m.live[f.journals[publish.Event].all()[0].path]
	i.live = bytes.Clone(i.live)
	i.live[recordHeader] ^= 1
	m.mu.Unlock()
	f.readAgain()
	expect.ErrorIs(t, errRecovering, f.Settle(publish.Event, records), "the error")
	aside, err := f.SetAside(0, 9)
	expect.NoError(t, err)
	expect.Equal(t, len(aside) == 1, f.Holds(publish.Event, "a"), "held, if it is set aside")
	expect.Equal(t, 0, f.Len(publish.Event), "records that wait")
}
