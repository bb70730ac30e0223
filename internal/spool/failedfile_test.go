package spool

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
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

// failBothSyncs makes the next write fail, which tries twice.
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

// A file that has become shorter is reported, though a crash may have cut a write short.
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

// A process may end before the name of its new file is durable. The next process makes it so before it
// answers a message that is in it.
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

// refuses returns the disk of a process that has kept "a", and then refused "b" because it couldn't
// sync it. The next process is shown both.
func refuses(t *testing.T, then ...string) *memory {
	t.Helper()
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	failBothSyncs(m)
	expect.ErrorIs(t, syscall.EIO, f.Append(t.Context(), message("b"), attempted), "the first answer")
	f.keeps(then...)
	f.close()
	m.fails = nil
	return m
}

// keepsForGood expects a next process to keep a message so that it outlives a loss of power.
func keepsForGood(t *testing.T, m *memory, id string, want ...string) {
	t.Helper()
	f := open(t, "spool", on(m))
	f.keeps(id)
	open(t, "spool", on(m.afterPowerLoss(nil))).holds(want...)
	expect.Equal(t, 0, len(m.violated), "calls that must not be made")
}

// Another file was begun behind the one in which the message may not be durable.
func TestUnsyncedMessageInEarlierFile(t *testing.T) {
	keepsForGood(t, refuses(t, "c"), "b", "a", "b", "c")
}

// What couldn't be made durable at one start isn't taken to be durable at the next.
func TestUnsyncedMessageAfterTwoStarts(t *testing.T) {
	for name, use := range map[string]func(f *fixture){
		"by the mark":      func(f *fixture) { f.settle(f.all()[:1], nil) },
		"by the next file": func(f *fixture) { f.keeps("c") },
	} {
		t.Run(name, func(t *testing.T) {
			m := refuses(t)
			first := 0
			for path, i := range m.live {
				if strings.HasSuffix(path, format) {
					first = i.number
				}
			}
			m.fails = func(c call) error {
				if c.inode == first && c.name != "pread" {
					return errIO
				}
				return nil
			}
			f := open(t, "spool", on(m))
			use(f)
			f.close()
			m.fails = nil
			f = open(t, "spool", on(m))
			f.keeps("b")
			f.close()
			f = open(t, "spool", on(m.afterPowerLoss(nil)))
			if !f.Holds(publish.Event, "b") {
				t.Error("b was acknowledged and is lost")
			}
		})
	}
}

// On a full disk a message that the spool holds already is taken.
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

// A mark that can't be read at one start counts as none, and the numbers begin at 1 again. At the next
// start it must not hide the records that were appended meanwhile.
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

// If the disk can't read the end of a file at one start, the file isn't removed.
func TestFileThatCannotBeReadOnce(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	first := f.journals[0].all()[0].path
	f.close()
	m.fails = func(c call) error {
		if c.name == "pread" && len(c.data) != markBytes {
			return errIO
		}
		return nil
	}
	f = open(t, "spool", on(m))
	f.keeps("b")
	awaitRenamed(t, m, first)
	expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(), "losses logged")
}

// If the disk can't read a record once, it is delivered all the same.
func TestRecordThatCannotBeReadOnce(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	var fails atomic.Bool
	m.mu.Lock()
	m.fails = func(c call) error {
		if c.name == "pread" && fails.Load() {
			return errIO
		}
		return nil
	}
	m.mu.Unlock()
	fails.Store(true)
	_, err := f.Next(publish.Event, 0, 1, maxBytes)
	fails.Store(false)
	expect.ErrorIs(t, errDamaged, err, "the error")
	f.readAgain()
	f.holds("a")
}

// A record that a recovery has lost since it was read isn't set aside without being counted.
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

// Nothing is written again in a damaged file: what it has of the last write may not be durable.
func TestUnsyncedMessageInDamagedFile(t *testing.T) {
	m := refuses(t)
	for path, i := range m.live {
		if strings.HasSuffix(path, format) {
			i.live = bytes.Clone(i.live)
			i.live[recordHeader] ^= 1 // in "a"
		}
	}
	f := open(t, "spool", on(m))
	f.keeps("b")
	size := f.Stats().FileBytes
	f.keeps("b", "b")
	expect.Equal(t, size, f.Stats().FileBytes, "bytes after more of the same message")
	if f := open(t, "spool", on(m.afterPowerLoss(nil))); !f.Holds(publish.Event, "b") {
		t.Error("b was acknowledged and is lost")
	}
}

// setAsideUnsynced returns the disk of a closed spool whose record b is in the queue, and is set aside in
// a file that can't be made durable; and the path of the queue's file.
func setAsideUnsynced(t *testing.T) (m *memory, queue string) {
	t.Helper()
	m = newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a", "b")
	records := f.all()
	for i := range records {
		records[i].Reason = "refused"
	}
	expect.NoError(t, f.Settle(publish.Event, records[:1]))
	aside := m.live[f.journals[setAside].all()[0].path].number
	queue = f.journals[publish.Event].all()[0].path
	failBothSyncs(m)
	expect.ErrorIs(t, syscall.EIO, f.Settle(publish.Event, records[1:]), "the error")
	f.close()
	m.fails = func(c call) error {
		if c.inode == aside && c.name != "pread" {
			return errIO
		}
		return nil
	}
	return m, queue
}

// A record that is set aside and may not be durable doesn't stand for the one in the queue, which is.
func TestUnsyncedRecordSetAside(t *testing.T) {
	m, _ := setAsideUnsynced(t)
	f := open(t, "spool", on(m))
	f.holds("b")
	f.readAgain()
	f.holds("b")
	f.keeps("c") // makes durable which files are removed
	f.close()
	f = open(t, "spool", on(m.afterPowerLoss(nil)))
	if !f.Holds(publish.Event, "b") {
		t.Error("b was acknowledged and is lost")
	}
	f.close()
	f = open(t, "spool", on(m))
	f.settle(f.all(), nil)
	expect.Equal(t, 2, f.Stats().SetAside, "records set aside")
	for range 2 {
		if !f.Holds(publish.Event, "b") {
			t.Error("the b that is set aside isn't held")
		}
		f.close()
		f = open(t, "spool", on(m))
	}
}

// Once the one in the queue is delivered, the one that is set aside and may not be durable doesn't stand
// for one that comes again.
func TestUnsyncedRecordSetAsideComesAgainAfterDelivery(t *testing.T) {
	m, _ := setAsideUnsynced(t)
	f := open(t, "spool", on(m))
	f.settle(f.all(), nil)
	f.keeps("b")
	f.holds("b")
	f.keeps("c")
	f.close()
	if f := open(t, "spool", on(m.afterPowerLoss(nil))); !f.Holds(publish.Event, "b") {
		t.Error("b was acknowledged and is lost")
	}
}

// If the one in the queue is lost as well, the same that comes again is no copy.
func TestUnsyncedRecordSetAsideComesAgain(t *testing.T) {
	m, queue := setAsideUnsynced(t)
	content := bytes.Clone(m.live[queue].live)
	content[bytes.LastIndex(content, []byte(`"b"`))] ^= 1
	m.live[queue].live = content
	f := open(t, "spool", on(m))
	expect.Equal(t, 2, f.Stats().SetAside, "records set aside")
	f.holds()
	f.keeps("b", "b")
	f.holds("b")
	f.settle(f.all(), nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.durable.has(idOf(publish.Event, "b")) {
		t.Error("what was written counts after it is delivered")
	}
}
