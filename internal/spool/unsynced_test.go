package spool

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// The system may have forgotten a record that it could not sync, and still show it to the next process. If
// its message comes again, it is kept only once it is durable.
func TestUnsyncedMessageComesAgain(t *testing.T) {
	for _, stillFails := range []bool{false, true} {
		m := newMemory()
		f := open(t, "spool", on(m))
		f.keeps("a")
		fails := failWhile(m, "fsync")
		expect.ErrorIs(t, syscall.EIO, f.Append(t.Context(), message("b"), attempted), "the first answer")
		f.close()
		fails.Store(stillFails)
		f = open(t, "spool", on(m))
		err := f.Append(t.Context(), message("b"), attempted)
		if stillFails {
			expect.ErrorIs(t, syscall.EIO, err, "the answer")
			f.keeps("a") // it precedes that write, so it is durable
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

// keepsForGood expects the next process to keep a message so that it outlives a loss of power.
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

// A record that couldn't be made durable at one start doesn't count as durable at the next.
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

// Nothing is written again in a damaged file, as a read may give worse than what is on disk: what it has
// of the last write may not be durable.
func TestUnsyncedMessageInDamagedFile(t *testing.T) {
	m := refuses(t)
	damaged := 0
	for path, i := range m.live {
		if strings.HasSuffix(path, format) {
			i.live = bytes.Clone(i.live)
			i.live[recordHeader] ^= 1 // in "a"
			damaged = i.number
		}
	}
	m.calls = nil
	f := open(t, "spool", on(m))
	m.mu.Lock()
	calls := m.calls
	m.mu.Unlock()
	for _, c := range calls {
		if c.inode == damaged {
			t.Errorf("%s of the damaged file", c.name)
		}
	}
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

// A record that is set aside, and may not be durable, doesn't replace the durable one in the queue.
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

// Once the one in the queue is delivered, a message that comes again is no copy of the one that is set
// aside and may not be durable.
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

// The same holds if the one in the queue is lost.
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
	if !f.Holds(publish.Event, "b") {
		t.Error("the b that is set aside isn't held")
	}
}
